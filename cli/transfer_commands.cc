// shimactl volume import|export|checksum
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

#include "accessserver/volume/grpc_layout.h"
#include "accessserver/volume/volume_client.h"
#include "cli/image_export.h"
#include "cli/image_import.h"
#include "cli/progress.h"
#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/size_text.h"

namespace shima {
namespace {

// An open volume and how to show the progress of a transfer.
struct OpenVolume {
  std::unique_ptr<LayoutSource> source;  // outlives the client
  std::unique_ptr<VolumeClient> client;
};

ProgressStyle progress_style(const Session& session) {
  if (session.json()) return ProgressStyle::kNone;
  return ::isatty(STDERR_FILENO) ? ProgressStyle::kBar : ProgressStyle::kLines;
}

Result<cluster::v1::VolumeRecord> get_record(Session& session, const std::string& name) {
  volume::v1::GetVolumeRequest request;
  request.set_name(name);
  auto reply = session.control().get_volume(request);
  if (!reply) return reply.status();
  return std::move(*reply->mutable_record());
}

// Pieces of a transfer are cut into blocks: as many of these may be on the way as the transfer has under way.
Result<OpenVolume> open_volume(const Session& session, const cluster::v1::VolumeRecord& record,
                               const TransferLimits& limits) {
  OpenVolume open;
  open.source = make_grpc_layout_source({session.endpoints, session.timeout_ms});
  VolumeClientOptions options;
  const uint64_t blocks_of_piece = std::max<uint64_t>(1, limits.piece_bytes / record.block_size());
  options.max_in_flight =
      static_cast<uint32_t>(std::max<uint64_t>(options.max_in_flight, limits.in_flight * blocks_of_piece));
  auto client = VolumeClient::open(*open.source, record.name(), options);
  if (!client) return client.status();
  open.client = std::move(*client);
  return open;
}

double mb_per_second(uint64_t bytes, double seconds) {
  return seconds > 0 ? static_cast<double>(bytes) / 1e6 / seconds : 0;
}

std::string speed_text(uint64_t bytes, double seconds) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f MB/s", mb_per_second(bytes, seconds));
  return text;
}

std::string ms_text(uint64_t us) {
  char text[64];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(us) / 1000);
  return text;
}

// shimactl is no node that a volume could be published at (R20).
Status check_usable(const cluster::v1::VolumeRecord& record) {
  if (!record.published_only()) return Status::ok();
  return {Code::kFailedPrecondition, "volume " + record.name() +
                                         " may be used only by nodes that it is published at, so shimactl "
                                         "can neither read nor write its data; "
                                         "mount it on such a node, or through an access server"};
}

// The volume's size for this image: set now if it was not; whether the volume may hold older data.
Result<ImportPlan> plan_import(Session& session, const cluster::v1::VolumeRecord& record,
                               const ImageFile& image) {
  ImportPlan plan;
  if (image.size() == 0) {
    return {Code::kInvalidArgument,
            "wanted an image with something in it, but " + image.path() + " is empty"};
  }
  if (record.size_bytes() == 0) {
    volume::v1::SetSizeRequest request;
    request.set_name(record.name());
    request.set_size_bytes(image.size());
    if (auto reply = session.control().set_size(request); !reply) return reply.status();
    plan.volume_bytes = image.size();
    return plan;
  }
  if (image.size() > record.size_bytes()) {
    return {Code::kFailedPrecondition,
            "the image " + image.path() + " has " + std::to_string(image.size()) + " bytes, but volume " +
                record.name() + " has a size of only " + std::to_string(record.size_bytes()) +
                "; import it into a volume that is large enough, or made without --size"};
  }
  plan.volume_bytes = record.size_bytes();
  plan.punch_holes = true;
  return plan;
}

void print_import(Session& session, const std::string& name, const ImageFile& image,
                  const ImportSummary& summary, double seconds, const VolumeClientStats& stats) {
  const uint64_t p50 = stats.write_us.quantile(0.5), p99 = stats.write_us.quantile(0.99);
  if (session.json()) {
    print_json(session.out, {{"volume", name},
                             {"file", image.path()},
                             {"bytes", summary.image_bytes},
                             {"written_bytes", summary.written_bytes},
                             {"punched_bytes", summary.punched_bytes},
                             {"seconds", seconds},
                             {"mb_per_second", mb_per_second(summary.written_bytes, seconds)},
                             {"writes", stats.write_us.count()},
                             {"ack_p50_us", p50},
                             {"ack_p99_us", p99},
                             {"pieces_sent_again", stats.pieces_sent_again}});
    return;
  }
  session.out << "imported " << image.path() << " into " << name << ": " << summary.image_bytes << " bytes ("
              << format_bytes(summary.image_bytes) << "), of which " << format_bytes(summary.written_bytes)
              << " of data were written in " << format_seconds(seconds) << ", "
              << speed_text(summary.written_bytes, seconds) << "; ACK latency p50 " << ms_text(p50)
              << ", p99 " << ms_text(p99) << '\n';
}

// The size was set through one server; the client's layout may come from another that learns of it a moment
// later.
Status wait_for_size(VolumeClient& client, uint64_t size) {
  for (int looks = 0; client.layout().size_bytes < size; ++looks) {
    if (looks == 300) {
      return {Code::kUnavailable,
              "the volume's size was set to " + std::to_string(size) + ", but the core servers still say " +
                  std::to_string(client.layout().size_bytes) + "; is etcd reachable? Try again"};
    }
    if (looks > 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    SHIMA_RETURN_IF_ERROR(client.refresh());
  }
  return Status::ok();
}

Status import_volume(Session& session, const std::string& name, const std::string& path) {
  auto image = ImageFile::open(path);
  if (!image) return image.status();
  auto record = get_record(session, name);
  if (!record) return record.status();
  SHIMA_RETURN_IF_ERROR(check_usable(*record));
  auto plan = plan_import(session, *record, *image);
  if (!plan) return plan.status();
  auto open = open_volume(session, *record, plan->limits);
  if (!open) return open.status();
  VolumeClient& client = *open->client;
  SHIMA_RETURN_IF_ERROR(wait_for_size(client, plan->volume_bytes));
  const VolumeWrites writes{
      [&](uint64_t offset, Buffer bytes, IoDone done) {
        client.write(offset, std::move(bytes), std::move(done));
      },
      [&](uint64_t offset, uint64_t length, IoDone done) { client.punch(offset, length, std::move(done)); }};
  Progress progress(session.err, progress_style(session), "import " + name, plan->volume_bytes);
  auto summary = import_image(*image, writes, *plan, [&](uint64_t done) { progress.update(done); });
  progress.finish();
  if (!summary) return summary.status().with_context("importing " + path + " into " + name);
  print_import(session, name, *image, *summary, progress.seconds(), client.stats());
  return Status::ok();
}

// What export and checksum read.
struct Source {
  std::string volume;
  std::string site;          // this site's own replica; empty: through the primaries
  uint64_t inode = 0;        // a file; 0: the image
  std::string length = "0";  // of the file
};

std::string source_text(const Source& source) {
  return source.volume + (source.inode ? ", inode " + std::to_string(source.inode) : "") +
         (source.site.empty() ? "" : " at " + source.site);
}

ReadOperation reads_of(VolumeClient& client, const Source& source) {
  const InodeId inode(source.inode);
  if (source.site.empty() && source.inode) {
    return [&client, inode](uint64_t offset, uint64_t length, ReadDone done) {
      client.read_file(inode, offset, length,
                       [done = std::move(done)](Status status, Buffer bytes, uint64_t) {
                         done(std::move(status), std::move(bytes));
                       });
    };
  }
  if (source.inode) {
    return [&client, inode, site = source.site](uint64_t offset, uint64_t length, ReadDone done) {
      client.read_site_file(site, inode, offset, length, std::move(done));
    };
  }
  return [&client, site = source.site](uint64_t offset, uint64_t length, ReadDone done) {
    if (site.empty()) return client.read(offset, length, std::move(done));
    client.read_site(site, offset, length, std::move(done));
  };
}

struct ReadPlan {
  cluster::v1::VolumeRecord record;
  OpenVolume open;
  TransferLimits limits;
  uint64_t size = 0;  // bytes to read
};

Result<ReadPlan> plan_read(Session& session, const Source& source) {
  const std::string &name = source.volume, &site = source.site;
  ReadPlan plan;
  auto record = get_record(session, name);
  if (!record) return record.status();
  SHIMA_RETURN_IF_ERROR(check_usable(*record));
  const std::vector<std::string> sites = words(record->sites());
  if (!site.empty() && std::find(sites.begin(), sites.end(), site) == sites.end()) {
    return {Code::kNotFound,
            "volume " + name + " has no copy at " + site + "; it has copies at " + join(sites, ", ")};
  }
  plan.size = source.inode ? parse_size(source.length).value() : record->size_bytes();
  if (plan.size == 0 && source.inode == 0) {
    return {Code::kFailedPrecondition, "volume " + name +
                                           " has no size yet and holds no image; import one first, or name a "
                                           "file with --inode and --length"};
  }
  auto open = open_volume(session, *record, plan.limits);
  if (!open) return open.status();
  plan.record = std::move(*record);
  plan.open = std::move(*open);
  return plan;
}

Status export_volume(Session& session, const Source& source, const std::string& path) {
  auto plan = plan_read(session, source);
  if (!plan) return plan.status();
  const std::string &name = source.volume, &site = source.site;
  const uint64_t size = plan->size;
  Progress progress(session.err, progress_style(session), "export " + name, size);
  auto summary = export_image(reads_of(*plan->open.client, source), size, path, plan->limits,
                              [&](uint64_t done) { progress.update(done); });
  progress.finish();
  if (!summary) return summary.status().with_context("exporting " + source_text(source) + " to " + path);
  const double seconds = progress.seconds();
  if (session.json()) {
    print_json(session.out, {{"volume", name},
                             {"inode", source.inode},
                             {"file", path},
                             {"site", site.empty() ? plan->record.home() : site},
                             {"own_replica", !site.empty()},
                             {"bytes", summary->image_bytes},
                             {"written_bytes", summary->written_bytes},
                             {"seconds", seconds},
                             {"mb_per_second", mb_per_second(summary->image_bytes, seconds)}});
    return Status::ok();
  }
  session.out << "exported " << source_text(source) << " to " << path << ": " << summary->image_bytes
              << " bytes (" << format_bytes(summary->image_bytes) << "), of which "
              << format_bytes(summary->written_bytes) << " are data, in " << format_seconds(seconds) << ", "
              << speed_text(summary->image_bytes, seconds) << '\n';
  return Status::ok();
}

Status checksum_volume(Session& session, const Source& source) {
  auto plan = plan_read(session, source);
  if (!plan) return plan.status();
  const std::string &name = source.volume, &site = source.site;
  const uint64_t size = plan->size;
  Progress progress(session.err, progress_style(session), "checksum " + name, size);
  auto sum = checksum_image(reads_of(*plan->open.client, source), size, plan->limits,
                            [&](uint64_t done) { progress.update(done); });
  progress.finish();
  if (!sum) return sum.status().with_context("reading " + source_text(source));
  if (session.json()) {
    print_json(session.out, {{"volume", name},
                             {"inode", source.inode},
                             {"site", site.empty() ? plan->record.home() : site},
                             {"own_replica", !site.empty()},
                             {"bytes", size},
                             {"sha256", *sum},
                             {"seconds", progress.seconds()}});
  } else {
    session.out << *sum << "  " << source_text(source) << '\n';
  }
  return Status::ok();
}

struct Transfer {
  Source source;
  std::string path;
};

void add_name(CLI::App& command, Transfer& wanted) {
  command.add_option("name", wanted.source.volume, "Name of the volume")->required()->type_name("NAME");
}

std::string check_size(const std::string& text) {
  auto bytes = parse_size(text);
  return bytes ? "" : bytes.status().message();
}

void add_source(CLI::App& command, Transfer& wanted) {
  add_name(command, wanted);
  command
      .add_option("--site", wanted.source.site,
                  "Read what this site's own replica holds (default: ask the home)")
      ->type_name("SITE");
  auto* inode =
      command
          .add_option("--inode", wanted.source.inode,
                      "Read the file with this inode number, as stat(1) shows it (default: the image)")
          ->check(CLI::Range(uint64_t{1}, UINT64_MAX - 1))
          ->type_name("N");
  auto* length =
      command.add_option("--length", wanted.source.length, "Bytes of the file to read, from its start")
          ->check(check_size)
          ->type_name("SIZE");
  inode->needs(length);
  length->needs(inode);
}

}  // namespace

void add_transfer_commands(CLI::App& volume, Session& session, Action& chosen) {
  auto wanted = std::make_shared<Transfer>();

  auto* import_command =
      volume.add_subcommand("import", "Writes a raw disk image into a volume; sets its size if it has none");
  add_name(*import_command, *wanted);
  import_command->add_option("file", wanted->path, "Raw image: a file or a block device")
      ->required()
      ->type_name("FILE");
  import_command->callback([&session, &chosen, wanted] {
    chosen = [&session, wanted] { return import_volume(session, wanted->source.volume, wanted->path); };
  });

  auto* export_command =
      volume.add_subcommand("export", "Reads a volume's image, or a file of it, into a sparse file");
  add_source(*export_command, *wanted);
  export_command->add_option("file", wanted->path, "File to write; it appears only when it is whole")
      ->required()
      ->type_name("FILE");
  export_command->callback([&session, &chosen, wanted] {
    chosen = [&session, wanted] { return export_volume(session, wanted->source, wanted->path); };
  });

  auto* checksum = volume.add_subcommand("checksum", "sha256 over a volume's image, or over a file of it");
  add_source(*checksum, *wanted);
  checksum->callback([&session, &chosen, wanted] {
    chosen = [&session, wanted] { return checksum_volume(session, wanted->source); };
  });
}

}  // namespace shima
