// SPDX-License-Identifier: Apache-2.0
#include "probe_object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace hullguard {

void Fd::Reset() {
  if (fd_ >= 0) (void)close(fd_);  // nothing to do about a failing close of a read-only or pidfd descriptor
  fd_ = -1;
}

namespace {

constexpr size_t kLogBytesMax = 16 * 1024;  // the end of a verifier log names the fault

// libbpf's print callback has no context argument, so the log is of the process; sensors in other threads may interleave.
std::mutex g_log_mutex;
std::string g_log;

int CollectLog(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char* line = nullptr;
  const int length = vasprintf(&line, format, arguments);
  if (length < 0) return 0;
  {
    const std::lock_guard<std::mutex> lock(g_log_mutex);
    g_log.append(line, static_cast<size_t>(length));
    if (g_log.size() > kLogBytesMax) g_log.erase(0, g_log.size() - kLogBytesMax);
  }
  free(line);
  return 0;
}

// The bytes behind a map of globals: writable before load, mapped from the kernel after. const only in older headers.
uint8_t* MappedValue(bpf_map* map, size_t* size_bytes) {
  return static_cast<uint8_t*>(const_cast<void*>(static_cast<const void*>(bpf_map__initial_value(map, size_bytes))));
}

}  // namespace

std::string ProbeObject::TakeLog() {
  const std::lock_guard<std::mutex> lock(g_log_mutex);
  return std::exchange(g_log, std::string());
}

Status ProbeObject::WithLog(int error, const std::string& what) const {
  const int positive = error < 0 ? -error : error;
  return Status::Fail(positive, what + ": " + std::strerror(positive));
}

Status ProbeObject::Open(const std::string& path) {
  libbpf_set_print(CollectLog);
  (void)TakeLog();
  object_ = bpf_object__open_file(path.c_str(), nullptr);
  if (object_ == nullptr) return WithLog(errno, "cannot open BPF object " + path);
  return Status::Ok();
}

Status ProbeObject::SetKnob(const std::string& name, uint32_t value) {
  const btf* types = bpf_object__btf(object_);
  const int section_id = btf__find_by_name_kind(types, ".rodata", BTF_KIND_DATASEC);
  if (section_id < 0) return WithLog(ENOENT, "the BPF object has no .rodata");
  const btf_type* section = btf__type_by_id(types, static_cast<uint32_t>(section_id));
  const btf_var_secinfo* variables = btf_var_secinfos(section);
  for (int i = 0; i < btf_vlen(section); i++) {
    const btf_type* variable = btf__type_by_id(types, variables[i].type);
    if (name != btf__name_by_offset(types, variable->name_off)) continue;
    if (variables[i].size != sizeof(value)) return WithLog(EINVAL, "knob " + name + " is not 32 bits wide");
    bpf_map* map = bpf_object__find_map_by_name(object_, ".rodata");
    size_t size_bytes = 0;
    auto* bytes = map == nullptr ? nullptr : MappedValue(map, &size_bytes);
    if (bytes == nullptr || variables[i].offset + sizeof(value) > size_bytes)
      return WithLog(EINVAL, "no bytes for " + name);
    std::memcpy(bytes + variables[i].offset, &value, sizeof(value));
    return Status::Ok();
  }
  return WithLog(ENOENT, "the BPF object has no knob " + name);
}

Status ProbeObject::SetMapEntries(const std::string& map_name, uint32_t entries) {
  bpf_map* map = bpf_object__find_map_by_name(object_, map_name.c_str());
  if (map == nullptr) return WithLog(ENOENT, "no map " + map_name);
  const int error = bpf_map__set_max_entries(map, entries);
  return error == 0 ? Status::Ok() : WithLog(error, "cannot size map " + map_name);
}

Status ProbeObject::SetAutoload(const std::string& program_name, bool autoload) {
  bpf_program* program = bpf_object__find_program_by_name(object_, program_name.c_str());
  if (program == nullptr) return WithLog(ENOENT, "no program " + program_name);
  const int error = bpf_program__set_autoload(program, autoload);
  return error == 0 ? Status::Ok() : WithLog(error, "cannot set autoload of " + program_name);
}

Status ProbeObject::Load() {
  const int error = bpf_object__load(object_);
  if (error != 0) return WithLog(error, "cannot load the BPF object");
  loaded_ = true;
  return Status::Ok();
}

Status ProbeObject::Attach(const std::string& program_name, const std::string& cgroup_path) {
  bpf_program* program = bpf_object__find_program_by_name(object_, program_name.c_str());
  if (program == nullptr) return WithLog(ENOENT, "no program " + program_name);
  if (links_.count(program_name) != 0) return Status::Ok();
  bpf_link* link = nullptr;
  if (cgroup_path.empty()) {
    link = bpf_program__attach(program);
  } else {
    const Fd directory(open(cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.valid()) return Status::FromErrno("cannot open cgroup " + cgroup_path);
    link = bpf_program__attach_cgroup(program, directory.get());
  }
  if (link == nullptr) return WithLog(errno, "cannot attach " + program_name);
  links_[program_name] = link;
  return Status::Ok();
}

Status ProbeObject::Detach(const std::string& program_name) {
  const auto found = links_.find(program_name);
  if (found == links_.end()) return Status::Ok();
  const int error = bpf_link__destroy(found->second);
  links_.erase(found);
  return error == 0 ? Status::Ok() : WithLog(error, "cannot detach " + program_name);
}

Status ProbeObject::ReadIterator(const std::string& program_name, std::vector<uint8_t>* out) {
  bpf_program* program = bpf_object__find_program_by_name(object_, program_name.c_str());
  if (program != nullptr && bpf_program__expected_attach_type(program) != BPF_TRACE_ITER)
    return WithLog(EINVAL, program_name + " is not an iterator");
  Status status = Attach(program_name, "");
  if (!status.ok()) return status;
  const Fd iterator(bpf_iter_create(bpf_link__fd(links_[program_name])));
  if (!iterator.valid()) return Status::FromErrno("cannot create iterator " + program_name);
  uint8_t chunk[16384];
  for (;;) {
    const ssize_t count = read(iterator.get(), chunk, sizeof(chunk));
    if (count == 0) return Status::Ok();
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return Status::FromErrno("cannot read iterator " + program_name);
    }
    out->insert(out->end(), chunk, chunk + count);
  }
}

Status ProbeObject::ReadPrograms(std::vector<ProgramFacts>* out) const {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_) {
    const int fd = bpf_program__fd(program);
    if (fd < 0) continue;  // not loaded here
    bpf_prog_info info{};
    uint32_t size_bytes = sizeof(info);
    if (bpf_obj_get_info_by_fd(fd, &info, &size_bytes) != 0)
      return Status::FromErrno(std::string("cannot read the facts of ") + bpf_program__name(program));
    out->push_back({bpf_program__name(program), info.verified_insns, info.recursion_misses});
  }
  return Status::Ok();
}

bpf_map* ProbeObject::FindMap(const std::string& name) const {
  return object_ == nullptr ? nullptr : bpf_object__find_map_by_name(object_, name.c_str());
}

// What libbpf has of the writable globals in memory are their first values only: the map itself is mapped here.
Status ProbeObject::MapGlobals() {
  if (globals_ != nullptr) return Status::Ok();
  bpf_map* map = FindMap(".bss");
  if (map == nullptr) return WithLog(ENOENT, "the BPF object has no .bss");
  globals_bytes_ = bpf_map__value_size(map);
  void* mapped = mmap(nullptr, globals_bytes_, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
  if (mapped == MAP_FAILED) return Status::FromErrno("cannot map the globals of the BPF object");
  globals_ = mapped;
  return Status::Ok();
}

Status ProbeObject::FindCounter(const std::string& name, const uint64_t** out) {
  const Status status = MapGlobals();
  if (!status.ok()) return status;
  const btf* types = bpf_object__btf(object_);
  const int section_id = btf__find_by_name_kind(types, ".bss", BTF_KIND_DATASEC);
  if (section_id < 0) return WithLog(ENOENT, "the BPF object does not describe its .bss");
  const btf_type* section = btf__type_by_id(types, static_cast<uint32_t>(section_id));
  const btf_var_secinfo* variables = btf_var_secinfos(section);
  for (int i = 0; i < btf_vlen(section); i++) {
    const btf_type* variable = btf__type_by_id(types, variables[i].type);
    if (name != btf__name_by_offset(types, variable->name_off)) continue;
    if (variables[i].size != sizeof(uint64_t) || variables[i].offset + sizeof(uint64_t) > globals_bytes_)
      return WithLog(EINVAL, "global " + name + " is not 64 bits wide");
    *out = reinterpret_cast<const uint64_t*>(static_cast<const uint8_t*>(globals_) + variables[i].offset);
    return Status::Ok();
  }
  return WithLog(ENOENT, "the BPF object has no global " + name);
}

void ProbeObject::Close() {
  for (auto& entry : links_) (void)bpf_link__destroy(entry.second);  // the process gives the hooks up either way
  links_.clear();
  if (globals_ != nullptr) (void)munmap(globals_, globals_bytes_);
  globals_ = nullptr;
  if (object_ != nullptr) bpf_object__close(object_);
  object_ = nullptr;
  loaded_ = false;
}

}  // namespace hullguard
