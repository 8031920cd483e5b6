// What a directory tree shows to system calls, as text that two file systems can be compared by.
//
// Left out, since POSIX leaves them to the file system: sizes of directories, st_blocks, inode numbers (but
// which names are the same file is in), times (compared on their own), order of listings.
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

namespace shima {

// "file mode=0644 nlink=1 uid=0 gid=0 size=3"; an errno's name if lstat fails.
std::string describe(int root, const std::string& path);
std::string describe(const struct stat& stat);
// Name of an errno ("ENOENT"); "done" for 0.
std::string error_name(int error);

// "0644".
std::string octal(mode_t mode);

// Names, with `types` also types, of a directory's entries, sorted, one a line. Returns an errno, or 0.
int list_directory(int root, const std::string& path, bool types, std::string& lines);
// Sorted, each with a newline behind it.
std::string joined(std::vector<std::string> lines);
// Names of the user.* attributes, sorted, each with its value.
std::string list_xattrs(const std::string& absolute_path);

// Every path below the root with its description, contents of files, targets of symlinks and, for files with
// several names, the first of these names.
std::map<std::string, std::string> describe_tree(int root);

// Removes everything below the root.
void empty_tree(int root);

}  // namespace shima
