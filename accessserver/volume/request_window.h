// RequestWindow: gives the request ids of one replica group and knows which of them are settled (R20).
//
// A request is settled when its client will never send it again. Core servers remember results from
// settled_below on; the client's bound on requests in flight bounds that memory. Threads: none of its own,
// one at a time.
#pragma once

#include <set>

#include "common/types/ids.h"

namespace shima {

class RequestWindow {
 public:
  RequestId begin() {
    last_ = last_.next();
    unsettled_.insert(unsettled_.end(), last_);
    return last_;
  }
  void settle(RequestId id) { unsettled_.erase(id); }
  // The lowest unsettled id; the next one to be given if there is none.
  RequestId settled_below() const { return unsettled_.empty() ? last_.next() : *unsettled_.begin(); }

 private:
  RequestId last_;
  std::set<RequestId> unsettled_;
};

}  // namespace shima
