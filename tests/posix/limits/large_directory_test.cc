// A directory of a million entries: listed by cookies, looked up and removed from through NFS and FUSE. It is
// filled by jobs that run in the volume's loop, since a million round trips would take long.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <future>
#include <vector>

#include "tests/posix/limits/both_front_ends.h"
#include "tests/posix/seeded_random.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr uint64_t kEntries = 1'000'000;

std::string name_of(uint64_t number) { return "f" + std::to_string(number); }

// Which of the names a listing has shown; anything else, and anything twice, is a failure.
class Seen {
 public:
  void add(std::string_view name) {
    if (name == "." || name == "..") return void(++dots_);
    uint64_t number = kEntries;
    std::from_chars(name.data() + 1, name.data() + name.size(), number);
    if (number >= kEntries || name != name_of(number) || seen_[number]) {
      ++wrong_;
      ADD_FAILURE_AT(__FILE__, __LINE__) << "'" << name << "' is listed twice, or is nothing of ours";
      return;
    }
    seen_[number] = true;
    ++count_;
  }
  // Exactly the entries that are `there`.
  void expect(const std::vector<bool>& there, const char* how) const {
    EXPECT_EQ(dots_, 2) << how;
    EXPECT_EQ(wrong_, 0u) << how;
    EXPECT_EQ(count_, static_cast<uint64_t>(std::count(there.begin(), there.end(), true))) << how;
    EXPECT_TRUE(seen_ == there) << how << ": other names than are there";
  }
  bool hopeless() const { return wrong_ > 10; }

 private:
  std::vector<bool> seen_ = std::vector<bool>(kEntries, false);
  uint64_t count_ = 0, wrong_ = 0;
  int dots_ = 0;
};

class LargeDirectory : public testing::Test {
 protected:
  void SetUp() override {
    const NfsAnswer made = client().mkdir(client().root(), "large", {.mode = 0755});
    ASSERT_EQ(made.status, NFS3_OK) << client().error();
    directory_ = made.handle;
    inode_ = made.attributes->fileid;
    ASSERT_NO_FATAL_FAILURE(fill());
  }

  // Many jobs at once, so that the loop never waits.
  void fill() {
    constexpr uint64_t kAtOnce = 10'000;
    for (uint64_t at = 0; at < kEntries; at += kAtOnce) {
      uint64_t left = kAtOnce, failed = 0;  // the loop's
      std::promise<void> all;
      for (uint64_t i = at; i < at + kAtOnce; ++i) {
        front_ends_.volume().run_job(creation(i), [&](const Status& status, const JobReply& reply) {
          failed += !status.is_ok() || reply.error() != 0;
          if (--left == 0) all.set_value();
        });
      }
      all.get_future().wait();
      ASSERT_EQ(failed, 0u) << "of those after " << at;
    }
  }

  JobRequest creation(uint64_t number) const {
    JobRequest request;
    request.mutable_credentials()->set_checked(true);
    request.mutable_create()->set_parent(inode_);
    request.mutable_create()->set_name(name_of(number));
    request.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
    request.mutable_create()->set_how(metadata::v1::Create::GUARDED);
    request.mutable_create()->mutable_set()->set_mode(0644);
    return request;
  }

  void list_by_nfs(bool plus) {
    const char* how = plus ? "READDIRPLUS" : "READDIR";
    Seen seen;
    NfsListing page;
    uint64_t cookie = 0, pages = 0;
    while (!page.end && !seen.hopeless()) {
      page = client().readdir(directory_, plus, 65536, cookie, page.verifier);
      ASSERT_EQ(page.status, NFS3_OK) << how << " after cookie " << cookie << " " << client().error();
      ASSERT_TRUE(page.end || !page.entries.empty()) << how << " after cookie " << cookie;
      for (const NfsEntry& entry : page.entries) {
        ASSERT_GT(entry.cookie, cookie) << how << " goes back";
        cookie = entry.cookie;
        seen.add(entry.name);
        if (!plus) continue;
        ASSERT_TRUE(entry.attributes && !entry.handle.empty()) << entry.name;
        ASSERT_EQ(entry.attributes->fileid, entry.inode) << entry.name;
      }
      ++pages;
    }
    EXPECT_GT(pages, kEntries / 4096) << "pages are bounded";
    seen.expect(there_, how);
  }

  void list_by_fuse() {
    DIR* listing = opendir(front_ends_.path("large").c_str());
    ASSERT_NE(listing, nullptr) << errno;
    Seen seen;
    errno = 0;
    while (const dirent* entry = readdir(listing)) {
      seen.add(entry->d_name);
      if (seen.hopeless()) break;
    }
    EXPECT_EQ(errno, 0);
    closedir(listing);
    seen.expect(there_, "readdir(3)");
  }

  // Some that are there, some that were, some that never were.
  void look_up_and_remove(uint64_t operations) {
    for (uint64_t i = 0; i < operations; ++i) {
      const uint64_t number = random_.below(kEntries + (kEntries / 10));
      const bool there = number < kEntries && there_[number], by_nfs = !mounted() || random_.one_in(2);
      const bool remove = random_.one_in(3);
      ASSERT_EQ(by_nfs ? at_nfs(number, remove) : at_fuse(number, remove), there ? 0 : ENOENT)
          << (remove ? "removing " : "looking up ") << name_of(number) << " by " << (by_nfs ? "NFS" : "FUSE");
      if (remove && there) there_[number] = false;
    }
  }
  int at_nfs(uint64_t number, bool remove) {
    return errno_of_nfs(remove ? client().remove(directory_, name_of(number)).status
                               : client().lookup(directory_, name_of(number)).status);
  }
  int at_fuse(uint64_t number, bool remove) const {
    const std::string path = front_ends_.path("large/" + name_of(number));
    struct stat stat {};
    return (remove ? unlink(path.c_str()) : lstat(path.c_str(), &stat)) == 0 ? 0 : errno;
  }

  Nfs3Client& client() { return front_ends_.client(); }
  bool mounted() const { return front_ends_.has_mount(); }

  BothFrontEnds front_ends_;
  SeededRandom random_{1};
  std::string directory_;  // handle
  uint64_t inode_ = 0;
  std::vector<bool> there_ = std::vector<bool>(kEntries, true);
};

TEST_F(LargeDirectory, OfAMillionEntriesListsEachOnceAndFindsAndRemovesAny) {
  if (!mounted()) std::printf("LEFT OUT: FUSE, since mounting takes root and /dev/fuse\n");
  list_by_nfs(false);
  list_by_nfs(true);
  if (mounted()) list_by_fuse();
  look_up_and_remove(20'000);
  EXPECT_EQ(errno_of_nfs(client().rmdir(client().root(), "large").status), ENOTEMPTY);
  list_by_nfs(true);
  if (mounted()) list_by_fuse();
}

}  // namespace
}  // namespace shima
