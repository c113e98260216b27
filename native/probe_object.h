// SPDX-License-Identifier: Apache-2.0
// One loaded BPF object: its knobs, programs, links and maps. Thread: JavaScript thread only. Decides nothing: what is
// attached, and what the maps hold, is said by src/sensor.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "result.h"

namespace hullguard {

struct ProgramFacts {
  std::string name;
  // Instructions that the verifier walked; 0 where the kernel does not say (before 5.16).
  uint32_t verified_count = 0;
  // Runs that the kernel left out because the program was running on that CPU already; 0 before 5.12.
  uint64_t recursion_misses_count = 0;
};

class ProbeObject {
 public:
  ProbeObject() = default;
  ProbeObject(const ProbeObject&) = delete;
  ProbeObject& operator=(const ProbeObject&) = delete;
  ~ProbeObject() { Close(); }

  Status Open(const std::string& path);
  // A 32-bit `const volatile` of the object, before Load().
  Status SetKnob(const std::string& name, uint32_t value);
  Status SetMapEntries(const std::string& map, uint32_t entries);
  Status SetAutoload(const std::string& program, bool autoload);
  Status Load();
  // cgroup_path: for cgroup programs; attached as one of several (multi) so that others' programs stay in force.
  Status Attach(const std::string& program, const std::string& cgroup_path);
  Status Detach(const std::string& program);
  // Runs an iterator program once and appends what it wrote.
  Status ReadIterator(const std::string& program, std::vector<uint8_t>* out);
  // What the kernel says of each loaded program.
  Status ReadPrograms(std::vector<ProgramFacts>* out) const;
  void Close();

  bpf_map* FindMap(const std::string& name) const;
  bool loaded() const { return loaded_; }
  // A 64-bit global of the object as the programs count it, mapped until Close(). After Load().
  Status FindCounter(const std::string& name, const uint64_t** out);
  // What libbpf and the verifier said since the last call; kept to the last 16 KiB.
  static std::string TakeLog();

 private:
  Status WithLog(int error, const std::string& what) const;
  Status MapGlobals();

  bpf_object* object_ = nullptr;
  bool loaded_ = false;
  void* globals_ = nullptr;
  size_t globals_bytes_ = 0;
  std::map<std::string, bpf_link*> links_;
};

}  // namespace hullguard
