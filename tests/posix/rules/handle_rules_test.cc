// File handles: name_to_handle_at(2), open_by_handle_at(2).
#include <unistd.h>

#include <vector>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class Handles : public PosixRules {
 protected:
  using Handle = std::vector<uint64_t>;  // a struct file_handle, aligned

  static file_handle* as_handle(Handle& handle) { return reinterpret_cast<file_handle*>(handle.data()); }
  static Handle handle_of(const std::string& path) {
    Handle handle((sizeof(file_handle) + MAX_HANDLE_SZ + 7) / 8);
    as_handle(handle)->handle_bytes = MAX_HANDLE_SZ;
    int mount_id = 0;
    EXPECT_EQ(error_of(name_to_handle_at(AT_FDCWD, path.c_str(), as_handle(handle), &mount_id, 0)), 0)
        << path;
    return handle;
  }
  int open_handle(Handle& handle, int flags = O_RDONLY) {
    const File at(open(directory_.c_str(), O_RDONLY | O_DIRECTORY));
    return open_by_handle_at(at.get(), as_handle(handle), flags);
  }
  static std::string content_of(int file) {
    std::string bytes(100, '\0');
    const ssize_t got = pread(file, bytes.data(), bytes.size(), 0);
    return got < 0 ? "errno " + std::to_string(errno) : bytes.substr(0, static_cast<size_t>(got));
  }
};

TEST_F(Handles, OpenAFileWhateverItsNameIs) {
  const std::string file = make_file("file", "content");
  Handle handle = handle_of(file);
  ASSERT_EQ(error_of(rename(file.c_str(), path("moved").c_str())), 0);
  const File opened(open_handle(handle));
  ASSERT_EQ(opened.error(), 0);
  EXPECT_EQ(content_of(opened.get()), "content");
}

TEST_F(Handles, AreStaleAsSoonAsTheLastNameIsGone) {
  const std::string file = make_file("file", "content");
  Handle handle = handle_of(file);
  ASSERT_EQ(error_of(link(file.c_str(), path("second").c_str())), 0);
  ASSERT_EQ(error_of(unlink(file.c_str())), 0);
  EXPECT_EQ(File(open_handle(handle)).error(), 0) << "it has another name";
  ASSERT_EQ(error_of(unlink(path("second").c_str())), 0);
  EXPECT_EQ(File(open_handle(handle)).error(), ESTALE);
}

TEST_F(Handles, AreStaleAsSoonAsTheFileIsReplaced) {
  const std::string file = make_file("file", "old"), other = make_file("other", "new");
  Handle handle = handle_of(file), new_handle = handle_of(other);
  ASSERT_EQ(error_of(rename(other.c_str(), file.c_str())), 0);
  EXPECT_EQ(File(open_handle(handle)).error(), ESTALE);
  const File opened(open_handle(new_handle));
  EXPECT_EQ(content_of(opened.get()), "new");
}

TEST_F(Handles, OpenAnUnlinkedFileWhileItIsOpen) {
  const std::string file = make_file("file", "content");
  Handle handle = handle_of(file);
  {
    const File first(open(file.c_str(), O_RDWR));
    ASSERT_EQ(error_of(unlink(file.c_str())), 0);
    const File second(open_handle(handle, O_RDWR));
    ASSERT_EQ(second.error(), 0);
    ASSERT_EQ(pwrite(second.get(), "C", 1, 0), 1);
    EXPECT_EQ(content_of(first.get()), "Content");
  }
  EXPECT_EQ(File(open_handle(handle)).error(), ESTALE) << "both are closed";
}

}  // namespace
}  // namespace shima
