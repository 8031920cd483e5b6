// AttributeSource: attributes of inodes as the metadata group has them, with truncations completed, fresh or
// as last seen.
//
// Fresh ones are linearizable: the job is sent after the call; calls for one inode that wait to be sent share
// a job, and a job that was sent before a call came does not serve it. What any reply showed is remembered
// (at most kMaxKnown inodes, the longest unused goes); it may be old: a use of it has to be proven right by
// what the data groups or the metadata group answer. Times are the metadata's own: see WritingMarks. Threads:
// the loop.
#pragma once

#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/truncation_finisher.h"

namespace shima {

class AttributeSource {
 public:
  using Done = std::function<void(int error, const FileAttributes& attributes)>;
  static constexpr size_t kMaxKnown = 16384;
  static constexpr uint32_t kMaxInFlight = 4;  // jobs of one inode; more calls wait and share

  AttributeSource(FileContext& context, TruncationFinisher& truncations)
      : context_(context), truncations_(truncations) {}

  void get(uint64_t inode, Done done);
  // Goes on with what a job has just answered: completes a truncation, remembers. May call `done` at once.
  void complete(const FileAttributes& attributes, Done done);
  // The same without a callback; false: a truncation has to be completed first, so complete() must be called.
  bool complete_now(const FileAttributes& attributes);

  const FileAttributes* known(uint64_t inode);
  void forget(uint64_t inode);

 private:
  struct Fetches {
    std::vector<Done> waiting;
    uint32_t in_flight = 0;
    bool scheduled = false;
  };
  struct Known {
    FileAttributes attributes;
    std::list<uint64_t>::iterator use;
  };

  void schedule(uint64_t inode, Fetches& fetches);
  void send(uint64_t inode);
  void answered(uint64_t inode, const std::vector<Done>& served, const metadata::v1::JobReply& reply);
  void learn(const FileAttributes& attributes);

  FileContext& context_;
  TruncationFinisher& truncations_;
  std::unordered_map<uint64_t, Fetches> fetches_;
  std::unordered_map<uint64_t, Known> known_;
  std::list<uint64_t> uses_;  // inodes, the longest unused first
};

}  // namespace shima
