// The protobuf messages and services of api/ as lines of text, and what of a change breaks those who still
// use the older ones. PURE.
//
// A line is "KEY: VALUE", one for each message, field, enum value, method and reservation:
//   message shima.data.v1.ReadRequest: here
//   field shima.data.v1.ReadRequest 3: inode, uint64
//   reserved shima.data.v1.ReadRequest 4: here
// Names count, too: records in etcd are JSON, and people use names.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace google::protobuf {
class FileDescriptor;
}

namespace shima {

using ApiDescription = std::map<std::string, std::string>;

// All of the files that this program has of api/shima.
std::vector<const google::protobuf::FileDescriptor*> api_files();

ApiDescription describe_api(const std::vector<const google::protobuf::FileDescriptor*>& files);
std::string text_of(const ApiDescription& description);
ApiDescription api_description_from(const std::string& text);

// What `now` may not do to those who know `before`, each as a sentence; empty: nothing. Adding is allowed. So
// is taking a field or an enum value away if its number is reserved.
std::vector<std::string> breaks_of_api(const ApiDescription& before, const ApiDescription& now);

}  // namespace shima
