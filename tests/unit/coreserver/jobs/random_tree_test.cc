// Random operations by several users on a tree, against TreeModel: every errno, what every operation changes,
// and now and then the whole tree and the keys under it. SHIMA_SEED repeats a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/unit/coreserver/jobs/job_volume.h"
#include "tests/unit/coreserver/jobs/metadata_check.h"
#include "tests/unit/coreserver/jobs/tree_model.h"

namespace shima {
namespace {

constexpr int kSteps = 200'000;
constexpr int kStepsBetweenComparisons = 5'000;
constexpr size_t kManyNodes = 300;  // then more is removed than made: small trees meet more corners

pb::FileType type_of(char type) {
  switch (type) {
    case 'd':
      return pb::FILE_TYPE_DIRECTORY;
    case 'l':
      return pb::FILE_TYPE_SYMLINK;
    case 'p':
      return pb::FILE_TYPE_FIFO;
    default:
      return pb::FILE_TYPE_REGULAR;
  }
}

class RandomTree {
 public:
  explicit RandomTree(uint64_t seed) : random_(seed) {
    known_.push_back(model_.root());
    EXPECT_EQ(volume_.chmod(kRootInode, 0777).error(), 0);
    EXPECT_EQ(model_.change({}, model_.root(), {.mode = 0777}), 0);
    note_times(volume_.attributes(kRootInode));
  }

  void run() {
    for (step_ = 1; step_ <= kSteps && !testing::Test::HasFailure(); step_++) {
      step();
      if (step_ % kStepsBetweenComparisons == 0) compare_all();
    }
  }
  int steps_done() const { return step_ - 1; }
  std::map<std::string, int> outcomes() const { return outcomes_; }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  bool chance(int percent) { return below(100) < static_cast<uint64_t>(percent); }

  std::string name() {
    static const std::string special[] = {
        ".", "..", "", "a/b", std::string("n\0l", 3), std::string(255, 'L'), std::string(256, 'L')};
    if (chance(3)) return special[below(std::size(special))];
    return std::string(1, static_cast<char>('a' + below(8)));
  }
  NodePtr any() { return known_[below(known_.size())]; }
  NodePtr directory() {
    for (int i = 0; i < 20; i++) {
      if (NodePtr node = any(); node->dir() && (chance(10) || node->nlink > 0)) return node;
    }
    return model_.root();
  }
  // A name that is there, mostly.
  std::string name_in(const NodePtr& dir) {
    if (dir->children.empty() || chance(20)) return name();
    auto at = dir->children.begin();
    std::advance(at, below(dir->children.size()));
    return at->first;
  }
  uint32_t mode() { return chance(60) ? 0777 : static_cast<uint32_t>(below(010000)); }

  void become_somebody() {
    static const ModelUser users[] = {{0, 0, {}}, {1, 1, {}}, {2, 2, {1}}, {3, 3, {}}};
    who_ = chance(50) ? users[0] : users[below(4)];
    volume_.who = user(who_.uid, who_.gid, {who_.groups.begin(), who_.groups.end()});
  }

  void expect(const char* what, int expected, const pb::JobReply& reply) {
    EXPECT_EQ(reply.error(), expected)
        << what << ", step " << step_ << ", uid " << who_.uid << ": " << reply.message();
    outcomes_[std::string(what) + " " + (expected ? strerrorname_np(expected) : "done")]++;
  }

  void step() {
    become_somebody();
    if (known_.size() > kManyNodes && chance(25)) return remove(chance(40));
    switch (below(20)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return create();
      case 5:
      case 6:
        return link();
      case 7:
      case 8:
        return remove(false);
      case 9:
        return remove(true);
      case 10:
      case 11:
      case 12:
      case 13:
        return rename();
      case 14:
      case 15:
        return change();
      case 16:
        return list();
      case 17:
        return xattr();
      case 18:
        return lookup();
      default:
        return chance(10) ? drop_orphans() : finish_truncation();
    }
  }

  void create() {
    const NodePtr dir = directory();
    const std::string child = name();
    const char type = "fffddlp"[below(7)];
    const bool exclusive = chance(50);
    const uint32_t bits = mode();
    std::optional<uint64_t> size;
    if (type == 'f' && chance(30)) size = below(100);
    pb::JobRequest request = JobVolume::creation(dir->inode, child, type_of(type), bits);
    request.mutable_create()->set_how(exclusive ? pb::Create::GUARDED : pb::Create::UNCHECKED);
    if (size) request.mutable_create()->mutable_set()->set_size(*size);
    if (type == 'l') request.mutable_create()->set_target("to " + child);
    const pb::JobReply reply = volume_.run(request);
    NodePtr node;
    bool is_new = false;
    expect("create", model_.create(who_, dir, child, type, bits, exclusive, size, node, is_new), reply);
    if (reply.error() != 0) return;
    EXPECT_EQ(reply.created(), is_new);
    if (is_new) {
      node->inode = reply.attributes().inode();
      known_.push_back(node);
    }
    check({dir, node}, {reply.parent(), reply.attributes()});
  }

  void link() {
    const NodePtr node = any(), dir = directory();
    const std::string child = name();
    const pb::JobReply reply = volume_.link(node->inode, dir->inode, child);
    expect("link", model_.link(who_, node, dir, child), reply);
    if (reply.error() == 0) check({dir, node}, {reply.parent(), reply.attributes()});
  }

  void remove(bool directories) {
    const NodePtr dir = directory();
    const std::string child = name_in(dir);
    const auto at = dir->children.find(child);
    const NodePtr victim = at == dir->children.end() ? nullptr : at->second;
    const pb::JobReply reply = volume_.remove(dir->inode, child, directories);
    const int expected = directories ? model_.rmdir(who_, dir, child) : model_.unlink(who_, dir, child);
    expect(directories ? "rmdir" : "unlink", expected, reply);
    if (reply.error() == 0) check({dir, victim}, {reply.parent(), reply.attributes()});
  }

  void rename() {
    const NodePtr from = directory(), to = chance(30) ? from : directory();
    const std::string from_name = name_in(from), to_name = name_in(to);
    const bool no_replace = chance(20), exchange = chance(25);
    const auto source = from->children.find(from_name), target = to->children.find(to_name);
    const NodePtr moved = source == from->children.end() ? nullptr : source->second;
    const NodePtr other = target == to->children.end() ? nullptr : target->second;
    const pb::JobReply reply =
        volume_.rename(from->inode, from_name, to->inode, to_name, no_replace, exchange);
    expect("rename", model_.rename(who_, from, from_name, to, to_name, no_replace, exchange), reply);
    if (reply.error() != 0) return;
    check({from, to, moved}, {reply.from_parent(), reply.parent(), reply.attributes()});
    if (other && other != moved) check({other}, {volume_.attributes(other->inode)});
  }

  void change() {
    const NodePtr node = any();
    ModelChange c;
    pb::NewAttributes set;
    if (chance(40)) set.set_mode(*(c.mode = mode()));
    if (chance(20)) set.set_uid(*(c.uid = static_cast<uint32_t>(below(4))));
    if (chance(20)) set.set_gid(*(c.gid = static_cast<uint32_t>(below(4))));
    if (chance(40)) set.set_size(*(c.size = chance(2) ? (1ull << 44) + 1 : below(100)));
    if (chance(20)) set.set_mtime_ns(*(c.mtime = static_cast<int64_t>(below(1000))));
    if (!c.mtime && chance(20)) set.set_mtime_now(c.mtime_now = true);
    const pb::JobReply reply = volume_.set(node->inode, set);
    expect("setattr", model_.change(who_, node, c), reply);
    if (reply.error() != 0) return;
    check({node}, {reply.attributes()});
    if (c.mtime) {
      EXPECT_EQ(reply.attributes().mtime_ns(), *c.mtime);
    }
  }

  void list() {
    const NodePtr dir = chance(90) ? directory() : any();
    std::set<std::string> expected, found;
    uint64_t after = 0;
    pb::JobReply reply = volume_.list(dir->inode, after, 3, chance(50));
    expect("list", model_.list(who_, dir, expected), reply);
    if (reply.error() != 0) return;
    while (true) {
      for (const pb::DirectoryEntry& entry : reply.entries()) {
        EXPECT_GT(entry.cookie(), after);
        after = entry.cookie();
        EXPECT_TRUE(found.insert(entry.name()).second) << "twice: " << entry.name();
      }
      if (reply.end() || reply.entries().empty()) break;
      reply = volume_.list(dir->inode, after, 3, false);
    }
    EXPECT_EQ(found, expected) << "step " << step_;
  }

  void xattr() {
    const NodePtr node = any();
    const std::string key = "user." + std::string(1, static_cast<char>('a' + below(3)));
    pb::JobRequest request;
    if (chance(50)) {
      const bool create_only = chance(30), replace = chance(30);
      const std::string value(below(20), 'v');
      pb::SetXattr& job = *request.mutable_set_xattr();
      job.set_inode(node->inode), job.set_name(key), job.set_value(value);
      job.set_create(create_only), job.set_replace(replace);
      const pb::JobReply reply = volume_.run(request);
      expect("setxattr", model_.set_xattr(who_, node, key, value, create_only, replace), reply);
      if (reply.error() == 0) check({node}, {reply.attributes()});
    } else if (chance(50)) {
      request.mutable_get_xattr()->set_inode(node->inode);
      request.mutable_get_xattr()->set_name(key);
      std::string value;
      const pb::JobReply reply = volume_.run(request);
      expect("getxattr", model_.get_xattr(who_, node, key, value), reply);
      EXPECT_EQ(reply.data(), value);
    } else {
      request.mutable_remove_xattr()->set_inode(node->inode);
      request.mutable_remove_xattr()->set_name(key);
      const pb::JobReply reply = volume_.run(request);
      expect("removexattr", model_.remove_xattr(who_, node, key), reply);
      if (reply.error() == 0) check({node}, {reply.attributes()});
    }
  }

  void lookup() {
    const NodePtr dir = chance(90) ? directory() : any();
    const std::string child = chance(20) ? (chance(50) ? "." : "..") : name_in(dir);
    NodePtr found;
    const pb::JobReply reply = volume_.lookup(dir->inode, child);
    expect("lookup", model_.lookup(who_, dir, child, found), reply);
    if (reply.error() == 0) check({dir, found}, {reply.parent(), reply.attributes()});
  }

  void finish_truncation() {
    const NodePtr node = any();
    if (!node->truncating || node->gone) return;
    const pb::Attributes a = volume_.attributes(node->inode);
    EXPECT_EQ(volume_.truncate_done(node->inode, a.truncate_sequence()).error(), 0);
    node->truncating = false;
    check({node}, {volume_.attributes(node->inode)});
  }

  // Nobody has a session here, so all orphans go.
  void drop_orphans() {
    std::set<uint64_t> expected, found;
    const std::vector<NodePtr> orphans = model_.take_orphans();
    for (const NodePtr& node : orphans) expected.insert(node->inode);
    const pb::JobReply reply = volume_.list_orphans();
    for (const pb::Orphan& orphan : reply.orphans()) {
      found.insert(orphan.inode());
      EXPECT_EQ(volume_.orphan_dropped(orphan.inode()).error(), 0);
    }
    EXPECT_EQ(found, expected) << "step " << step_;
    for (const NodePtr& node : orphans) node->gone = true;
    model_.forget(orphans.size());
    std::erase_if(known_, [&](const NodePtr& node) { return node->gone && !chance(10); });
    if (known_.empty()) known_.push_back(model_.root());
  }

  void check(std::vector<NodePtr> nodes, std::vector<pb::Attributes> shown) {
    std::map<uint64_t, pb::Attributes> each;  // the same node may come twice
    for (size_t i = 0; i < nodes.size(); i++) {
      EXPECT_EQ(nodes[i]->inode, shown[i].inode());
      if (each.contains(nodes[i]->inode)) continue;
      each[nodes[i]->inode] = shown[i];
      compare(*nodes[i], shown[i]);
      nodes[i]->ctime_ns = shown[i].ctime_ns();
      nodes[i]->mtime_ns = shown[i].mtime_ns();
    }
    for (const NodePtr& node : nodes) node->touched = node->modified = false;
  }

  void compare(const ModelNode& node, const pb::Attributes& shown) {
    const std::string where = "inode " + std::to_string(node.inode) + ", step " + std::to_string(step_);
    EXPECT_EQ(shown.type(), type_of(node.type)) << where;
    EXPECT_EQ(shown.mode(), node.mode) << where;
    EXPECT_EQ(shown.nlink(), node.nlink) << where;
    EXPECT_EQ(shown.uid(), node.uid) << where;
    EXPECT_EQ(shown.gid(), node.gid) << where;
    EXPECT_EQ(shown.truncating(), node.truncating) << where;
    EXPECT_EQ(shown.size(), node.dir() ? std::max<uint64_t>(4096, 32 * node.children.size()) : node.size)
        << where;
    if (node.touched) {
      EXPECT_GT(shown.ctime_ns(), node.ctime_ns) << where;
    } else {
      EXPECT_EQ(shown.ctime_ns(), node.ctime_ns) << where;
    }
    if (!node.modified) {
      EXPECT_EQ(shown.mtime_ns(), node.mtime_ns) << where;
    }
  }

  void note_times(const pb::Attributes& root) {
    model_.root()->ctime_ns = root.ctime_ns();
    model_.root()->mtime_ns = root.mtime_ns();
    model_.root()->touched = model_.root()->modified = false;
  }

  // The whole tree from the root, and the keys that it stands on.
  void compare_all() {
    volume_.who = user(0, 0);
    const uint64_t entries = compare_directory(model_.root());
    uint64_t found = 0;
    for (const auto& [key, value] : volume_.kv.entries()) found += key[0] == 'e';
    EXPECT_EQ(found, entries);
    EXPECT_EQ(volume_.inodes_in_use(), model_.inodes());
    check_metadata(volume_.kv);
  }

  uint64_t compare_directory(const NodePtr& dir) {
    compare(*dir, volume_.attributes(dir->inode));
    const std::vector<std::string> names = volume_.names(dir->inode);
    std::set<std::string> expected;
    uint64_t entries = dir->children.size();
    uint32_t subdirectories = 0;
    for (const auto& [child_name, child] : dir->children) {
      expected.insert(child_name);
      subdirectories += child->dir();
      const pb::JobReply reply = volume_.lookup(dir->inode, child_name);
      EXPECT_EQ(reply.attributes().inode(), child->inode);
      if (child->dir()) {
        EXPECT_EQ(reply.attributes().parent(), dir->inode);
        entries += compare_directory(child);
      } else {
        compare(*child, reply.attributes());
      }
    }
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
    EXPECT_EQ(dir->nlink, 2 + subdirectories);
    return entries;
  }

  std::mt19937_64 random_;
  JobVolume volume_;
  TreeModel model_;
  ModelUser who_;
  std::vector<NodePtr> known_;
  std::map<std::string, int> outcomes_;
  int step_ = 0;
};

TEST(RandomTree, BehavesAsAPlainModelOfPosixDoes) {
  const char* given = std::getenv("SHIMA_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "SHIMA_SEED=" << seed << "\n";
  RandomTree tree(seed);
  tree.run();
  EXPECT_EQ(tree.steps_done(), kSteps) << "SHIMA_SEED=" << seed;
  // A run in which operations mostly fail would show little.
  std::map<std::string, int> outcomes = tree.outcomes();
  for (const char* outcome :
       {"create done", "link done", "unlink done", "rmdir done", "rename done", "setattr done", "list done",
        "setxattr done", "rename ENOTEMPTY", "rename EINVAL", "rename EISDIR"}) {
    EXPECT_GT(outcomes[outcome], kSteps / 2000) << outcome;
  }
  for (const auto& [outcome, count] : outcomes) std::cout << "  " << outcome << " " << count << "\n";
}

}  // namespace
}  // namespace shima
