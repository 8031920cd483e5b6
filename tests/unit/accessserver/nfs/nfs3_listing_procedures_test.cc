#include <set>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

struct Listed {
  std::string name;
  uint64_t fileid = 0, cookie = 0;
  std::optional<Fattr> attributes;
  std::string handle;
};

struct Page {
  uint32_t status = 0;
  std::vector<Listed> entries;
  bool end = false;
  uint64_t verifier = 0;
  size_t bytes = 0;  // of the whole resok
};

class NfsListingTest : public NfsTest {
 protected:
  Page list(bool plus, const std::string& directory, uint64_t cookie, uint64_t verifier, uint32_t max_bytes,
            uint32_t directory_bytes = 1 << 20) {
    XdrWriter out = arguments(directory);
    out.u64(cookie);
    out.u64(verifier);
    if (plus) out.u32(directory_bytes);
    out.u32(max_bytes);
    auto [status, in] = client_->nfs(plus ? kReaddirplus : kReaddir, std::move(out));
    Page page;
    page.status = status;
    page.bytes = in.left();
    auto attributes = take_post_op(in);
    if (status != kOk) return page;
    EXPECT_TRUE(attributes.has_value());
    page.verifier = in.u64();
    while (in.boolean()) {
      Listed entry;
      entry.fileid = in.u64();
      entry.name = in.string(255);
      entry.cookie = in.u64();
      if (plus) {
        entry.attributes = take_post_op(in);
        if (in.boolean()) entry.handle = in.string(64);
      }
      page.entries.push_back(entry);
    }
    page.end = in.boolean();
    EXPECT_TRUE(in.good());
    EXPECT_EQ(in.left(), 0u);
    return page;
  }

  // All names, in pages of max_bytes.
  std::set<std::string> list_all(bool plus, uint32_t max_bytes, uint32_t directory_bytes = 1 << 20) {
    std::set<std::string> names;
    uint64_t cookie = 0, verifier = 0;
    for (int pages = 0; pages < 10'000; pages++) {
      Page page = list(plus, root(), cookie, verifier, max_bytes, directory_bytes);
      EXPECT_EQ(page.status, kOk);
      EXPECT_LE(page.bytes, max_bytes);
      for (const Listed& entry : page.entries)
        EXPECT_TRUE(names.insert(entry.name).second) << entry.name << " twice";
      if (page.status != kOk || page.end) return names;
      if (page.entries.empty()) break;
      cookie = page.entries.back().cookie;
      verifier = page.verifier;
    }
    ADD_FAILURE() << "the listing does not end";
    return names;
  }

  std::set<std::string> fill(int files) {
    std::set<std::string> names = {".", ".."};
    for (int i = 0; i < files; i++) {
      std::string name = "file-" + std::to_string(i) + std::string(i % 40, 'x');
      make_file(name);
      names.insert(name);
    }
    return names;
  }
};

TEST_F(NfsListingTest, AnEmptyDirectoryHasItsDots) {
  for (bool plus : {false, true}) {
    Page page = list(plus, root(), 0, 0, 4096);
    ASSERT_EQ(page.entries.size(), 2u);
    EXPECT_EQ(page.entries[0].name, ".");
    EXPECT_EQ(page.entries[1].name, "..");
    EXPECT_EQ(page.entries[1].fileid, 2u);
    EXPECT_TRUE(page.end);
    Page after = list(plus, root(), 2, page.verifier, 4096);
    EXPECT_EQ(after.status, kOk);
    EXPECT_TRUE(after.entries.empty());
    EXPECT_TRUE(after.end);
  }
}

TEST_F(NfsListingTest, EveryNameComesOnceWhateverThePageSize) {
  std::set<std::string> names = fill(120);
  for (uint32_t bytes : {512u, 1000u, 4096u, 65536u, 4u << 20}) {
    EXPECT_EQ(list_all(false, bytes), names) << bytes;
    EXPECT_EQ(list_all(true, bytes), names) << bytes;
  }
  EXPECT_EQ(list_all(true, 65536, 0), names);  // one a page
  EXPECT_EQ(list_all(true, 65536, 200), names);
  volume_->set_max_entries(7);  // the volume gives less than was asked for
  EXPECT_EQ(list_all(false, 65536), names);
}

TEST_F(NfsListingTest, PlusShowsAttributesAndHandles) {
  std::string file = make_file("f", 0604);
  Page page = list(true, root(), 0, 0, 4096);
  ASSERT_EQ(page.entries.size(), 3u);
  EXPECT_EQ(page.entries[2].handle, file);
  EXPECT_EQ(page.entries[2].attributes->mode, 0604u);
  EXPECT_EQ(page.entries[0].handle, root());
}

TEST_F(NfsListingTest, PagesThatHoldNothingAreTooSmall) {
  make_file(std::string(255, 'n'));
  for (uint32_t bytes : {0u, 50u, 103u, 104u, 120u}) {
    EXPECT_EQ(list(false, root(), 0, 0, bytes).status, kErrTooSmall) << bytes;
    EXPECT_EQ(list(true, root(), 0, 0, bytes).status, kErrTooSmall) << bytes;
  }
  EXPECT_EQ(list(false, root(), 2, 0, 104 + 24 + 256 - 1).status, kErrTooSmall);
  Page fits = list(false, root(), 2, 0, 104 + 24 + 256);
  EXPECT_EQ(fits.entries.size(), 1u);
  EXPECT_TRUE(fits.end);
}

TEST_F(NfsListingTest, CookiesOfAnotherVerifierAreBad) {
  Page page = list(false, root(), 0, 0, 4096);
  EXPECT_NE(page.verifier, 0u);
  EXPECT_EQ(list(false, root(), 1, page.verifier, 4096).status, kOk);
  EXPECT_EQ(list(false, root(), 1, 0, 4096).status, kOk);
  EXPECT_EQ(list(false, root(), 1, page.verifier + 1, 4096).status, kErrBadCookie);
  EXPECT_EQ(list(true, root(), 1, 1, 4096).status, kErrBadCookie);
  EXPECT_TRUE(list(false, root(), UINT64_MAX, 0, 4096).entries.empty());
}

TEST_F(NfsListingTest, FilesAreNotListed) {
  std::string file = make_file("f");
  EXPECT_EQ(list(false, file, 0, 0, 4096).status, kErrNotDir);
  EXPECT_EQ(list(true, file, 0, 0, 4096).status, kErrNotDir);
}

}  // namespace
}  // namespace shima
