// SPDX-License-Identifier: Apache-2.0
#include "sensor.h"

#include <bpf/bpf.h>

namespace hullguard {

namespace {

constexpr uint32_t kSlabsMax = 64;             // more in flight only delays back-pressure
constexpr uint32_t kSlabBytesMin = 64 * 1024;  // the largest event (48 KiB of strings) and its header fit

// The functions below run no conversion of JavaScript's own (toString, valueOf), which could throw or do anything. Getters and
// proxies still can: after each read a pending exception ends the call.

// Argument `index` as a string; false with an exception pending.
bool TextArgument(const Napi::CallbackInfo& info, size_t index, const char* name, std::string* out) {
  if (info.Length() <= index || !info[index].IsString()) {
    Napi::TypeError::New(info.Env(), std::string("expected a string for `") + name + "`").ThrowAsJavaScriptException();
    return false;
  }
  *out = info[index].As<Napi::String>();
  return true;
}

using NamedNumbers = std::vector<std::pair<std::string, uint32_t>>;

// The numbers of options[key] with their names; false with an exception pending.
bool ReadNumbers(const Napi::Object& options, const char* key, NamedNumbers* out) {
  const Napi::Env env = options.Env();
  const Napi::Value table = options.Get(key);
  if (env.IsExceptionPending()) return false;
  if (table.IsObject()) {
    const auto object = table.As<Napi::Object>();
    const Napi::Array names = object.GetPropertyNames();
    if (env.IsExceptionPending()) return false;
    const uint32_t count = names.Length();
    uint32_t i = 0;
    for (; i < count; i++) {
      const Napi::Value name = names.Get(i);
      const Napi::Value value = object.Get(name);
      if (env.IsExceptionPending()) return false;
      if (!name.IsString() || !value.IsNumber()) break;
      out->emplace_back(name.As<Napi::String>(), value.As<Napi::Number>().Uint32Value());
    }
    if (i == count) return true;
  }
  Napi::TypeError::New(env, std::string("expected an object of numbers for `") + key + "`")
      .ThrowAsJavaScriptException();
  return false;
}

// The strings of the array options[key]; false with an exception pending.
bool ReadTexts(const Napi::Object& options, const char* key, std::vector<std::string>* out) {
  const Napi::Env env = options.Env();
  const Napi::Value list = options.Get(key);
  if (env.IsExceptionPending()) return false;
  if (list.IsArray()) {
    const auto array = list.As<Napi::Array>();
    const uint32_t count = array.Length();
    uint32_t i = 0;
    for (; i < count; i++) {
      const Napi::Value text = array.Get(i);
      if (env.IsExceptionPending()) return false;
      if (!text.IsString()) break;
      out->push_back(text.As<Napi::String>());
    }
    if (i == count) return true;
  }
  Napi::TypeError::New(env, std::string("expected an array of strings for `") + key + "`").ThrowAsJavaScriptException();
  return false;
}

}  // namespace

void ThrowStatus(Napi::Env env, const Status& status, const std::string& log) {
  Napi::Error error = Napi::Error::New(env, status.message);
  error.Set("errno", Napi::Number::New(env, status.error));
  error.Set("log", Napi::String::New(env, log));
  error.ThrowAsJavaScriptException();
}

Napi::Function Sensor::Init(Napi::Env env) {
  return DefineClass(
      env, "Sensor",
      {InstanceMethod<&Sensor::JsOpen>("open"), InstanceMethod<&Sensor::JsLoad>("load"),
       InstanceMethod<&Sensor::JsAttach>("attach"), InstanceMethod<&Sensor::JsDetach>("detach"),
       InstanceMethod<&Sensor::JsUpdate>("update"), InstanceMethod<&Sensor::JsDelete>("delete"),
       InstanceMethod<&Sensor::JsLookup>("lookup"), InstanceMethod<&Sensor::JsKeys>("keys"),
       InstanceMethod<&Sensor::JsReadIterator>("readIterator"), InstanceMethod<&Sensor::JsStart>("start"),
       InstanceMethod<&Sensor::JsRelease>("release"), InstanceMethod<&Sensor::JsNudge>("nudge"),
       InstanceMethod<&Sensor::JsStats>("stats"), InstanceMethod<&Sensor::JsReaderThread>("readerThread"),
       InstanceMethod<&Sensor::JsPrograms>("programs"), InstanceMethod<&Sensor::JsClose>("close")});
}

Sensor::Sensor(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Sensor>(info), env_(info.Env()) {
  // A worker that is terminated, or a process that exits, runs this before the slabs' memory goes.
  (void)napi_add_env_cleanup_hook(env_, CleanUp, this);
}

Sensor::~Sensor() {
  (void)napi_remove_env_cleanup_hook(env_, CleanUp, this);
  CloseAll();
}

void Sensor::CleanUp(void* sensor) { static_cast<Sensor*>(sensor)->CloseAll(); }

void Sensor::CloseAll() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  reader_.Stop();
  if (has_on_slab_) (void)on_slab_.Abort();  // slabs that wait in its queue are dropped: nobody listens any more
  has_on_slab_ = false;
  object_.Close();
}

bool Sensor::Require(Napi::Env env, State least, const char* method) {
  if (state_ != State::kClosed && static_cast<int>(state_) >= static_cast<int>(least)) return true;
  static const char* const kNames[] = {"new", "open", "loaded", "running", "closed"};
  ThrowStatus(env, Status::Fail(EINVAL, std::string(method) + " in state " + kNames[static_cast<int>(state_)]), "");
  return false;
}

bpf_map* Sensor::MapArgument(const Napi::CallbackInfo& info, size_t index) {
  if (!Require(info.Env(), State::kLoaded, "map access")) return nullptr;
  if (info.Length() <= index || !info[index].IsString()) {
    Napi::TypeError::New(info.Env(), "expected a string for `map`").ThrowAsJavaScriptException();
    return nullptr;
  }
  const std::string name = info[index].As<Napi::String>();
  bpf_map* map = object_.FindMap(name);
  if (map == nullptr) ThrowStatus(info.Env(), Status::Fail(ENOENT, "no map " + name), "");
  return map;
}

uint8_t* Sensor::BytesArgument(const Napi::CallbackInfo& info, size_t index, size_t size_bytes, const char* name) {
  if (info.Length() > index && info[index].IsTypedArray()) {
    const auto bytes = info[index].As<Napi::TypedArray>();
    if (bytes.TypedArrayType() == napi_uint8_array && bytes.ByteLength() == size_bytes)
      return static_cast<uint8_t*>(bytes.ArrayBuffer().Data()) + bytes.ByteOffset();
  }
  Napi::TypeError::New(
      info.Env(), std::string("expected a Uint8Array of ") + std::to_string(size_bytes) + " bytes for `" + name + "`")
      .ThrowAsJavaScriptException();
  return nullptr;
}

void Sensor::JsOpen(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, State::kNew, "open")) return;
  if (state_ != State::kNew) {
    ThrowStatus(env, Status::Fail(EINVAL, "open twice"), "");
    return;
  }
  if (info.Length() < 2 || !info[0].IsString() || !info[1].IsObject()) {
    Napi::TypeError::New(env, "expected (path: string, options: {knobs, mapEntries, skip})")
        .ThrowAsJavaScriptException();
    return;
  }
  const auto options = info[1].As<Napi::Object>();
  NamedNumbers knobs, entries;
  std::vector<std::string> skip;
  if (!ReadNumbers(options, "knobs", &knobs) || !ReadNumbers(options, "mapEntries", &entries) ||
      !ReadTexts(options, "skip", &skip))
    return;
  Status status = object_.Open(info[0].As<Napi::String>());
  for (const auto& [name, value] : knobs)
    if (status.ok()) status = object_.SetKnob(name, value);
  for (const auto& [name, value] : entries)
    if (status.ok()) status = object_.SetMapEntries(name, value);
  for (const auto& name : skip)
    if (status.ok()) status = object_.SetAutoload(name, false);
  if (!status.ok()) {
    object_.Close();
    ThrowStatus(env, status, ProbeObject::TakeLog());
    return;
  }
  state_ = State::kOpen;
}

void Sensor::JsLoad(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), State::kOpen, "load")) return;
  const Status status = object_.Load();
  if (!status.ok()) {
    ThrowStatus(info.Env(), status, ProbeObject::TakeLog());
    return;
  }
  state_ = State::kLoaded;
}

void Sensor::JsAttach(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), State::kLoaded, "attach")) return;
  std::string program;
  if (!TextArgument(info, 0, "program", &program)) return;
  const std::string cgroup_path = info.Length() > 1 && info[1].IsString() ? info[1].As<Napi::String>().Utf8Value() : "";
  const Status status = object_.Attach(program, cgroup_path);
  if (!status.ok()) ThrowStatus(info.Env(), status, ProbeObject::TakeLog());
}

void Sensor::JsDetach(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), State::kLoaded, "detach")) return;
  std::string program;
  if (!TextArgument(info, 0, "program", &program)) return;
  const Status status = object_.Detach(program);
  if (!status.ok()) ThrowStatus(info.Env(), status, ProbeObject::TakeLog());
}

void Sensor::JsUpdate(const Napi::CallbackInfo& info) {
  bpf_map* map = MapArgument(info);
  if (map == nullptr) return;
  const uint8_t* key = BytesArgument(info, 1, bpf_map__key_size(map), "key");
  if (key == nullptr) return;
  const uint8_t* value = BytesArgument(info, 2, bpf_map__value_size(map), "value");
  if (value == nullptr) return;
  const uint64_t flags = info.Length() > 3 && info[3].IsNumber() ? info[3].As<Napi::Number>().Uint32Value() : 0;
  if (bpf_map_update_elem(bpf_map__fd(map), key, value, flags) != 0)
    ThrowStatus(info.Env(), Status::FromErrno(std::string("cannot update map ") + bpf_map__name(map)), "");
}

Napi::Value Sensor::JsDelete(const Napi::CallbackInfo& info) {
  bpf_map* map = MapArgument(info);
  if (map == nullptr) return info.Env().Undefined();
  const uint8_t* key = BytesArgument(info, 1, bpf_map__key_size(map), "key");
  if (key == nullptr) return info.Env().Undefined();
  if (bpf_map_delete_elem(bpf_map__fd(map), key) == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno != ENOENT)
    ThrowStatus(info.Env(), Status::FromErrno(std::string("cannot delete from map ") + bpf_map__name(map)), "");
  return Napi::Boolean::New(info.Env(), false);
}

// lookup(map, key, value): fills `value`, which for per-CPU maps holds one 8-aligned value per possible CPU.
Napi::Value Sensor::JsLookup(const Napi::CallbackInfo& info) {
  bpf_map* map = MapArgument(info);
  if (map == nullptr) return info.Env().Undefined();
  const bool is_per_cpu =
      bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY || bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH;
  const size_t one_bytes = bpf_map__value_size(map);
  const size_t value_bytes =
      is_per_cpu ? ((one_bytes + 7) & ~size_t{7}) * static_cast<size_t>(libbpf_num_possible_cpus()) : one_bytes;
  const uint8_t* key = BytesArgument(info, 1, bpf_map__key_size(map), "key");
  if (key == nullptr) return info.Env().Undefined();
  uint8_t* value = BytesArgument(info, 2, value_bytes, "value");
  if (value == nullptr) return info.Env().Undefined();
  if (bpf_map_lookup_elem(bpf_map__fd(map), key, value) == 0) return Napi::Boolean::New(info.Env(), true);
  if (errno != ENOENT)
    ThrowStatus(info.Env(), Status::FromErrno(std::string("cannot look up in map ") + bpf_map__name(map)), "");
  return Napi::Boolean::New(info.Env(), false);
}

// All keys, one after the other. A map that changes meanwhile may give a key twice or miss one, never more than max entries.
Napi::Value Sensor::JsKeys(const Napi::CallbackInfo& info) {
  bpf_map* map = MapArgument(info);
  if (map == nullptr) return info.Env().Undefined();
  const size_t key_bytes = bpf_map__key_size(map);
  std::vector<uint8_t> keys, key(key_bytes), next(key_bytes);
  bool is_first = true;
  for (uint32_t count = 0; count < bpf_map__max_entries(map); count++) {
    if (bpf_map_get_next_key(bpf_map__fd(map), is_first ? nullptr : key.data(), next.data()) != 0) break;
    keys.insert(keys.end(), next.begin(), next.end());
    key = next;
    is_first = false;
  }
  return Napi::Buffer<uint8_t>::Copy(info.Env(), keys.data(), keys.size());
}

Napi::Value Sensor::JsReadIterator(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), State::kLoaded, "readIterator")) return info.Env().Undefined();
  std::string program;
  if (!TextArgument(info, 0, "program", &program)) return info.Env().Undefined();
  std::vector<uint8_t> bytes;
  const Status status = object_.ReadIterator(program, &bytes);
  if (!status.ok()) {
    ThrowStatus(info.Env(), status, ProbeObject::TakeLog());
    return info.Env().Undefined();
  }
  return Napi::Buffer<uint8_t>::Copy(info.Env(), bytes.data(), bytes.size());
}

// start(ring, criticalRing, pool: ArrayBuffer, slabBytes, batchDelayMs, onSlab: (slab, sizeBytes) => void)
void Sensor::JsStart(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  bpf_map* map = MapArgument(info, 0);
  if (map == nullptr) return;
  if (state_ == State::kRunning) {
    ThrowStatus(env, Status::Fail(EINVAL, "start in state running"), "");
    return;
  }
  bpf_map* critical = MapArgument(info, 1);
  if (critical == nullptr) return;
  if (info.Length() < 6 || !info[2].IsArrayBuffer() || !info[3].IsNumber() || !info[4].IsNumber() ||
      !info[5].IsFunction()) {
    Napi::TypeError::New(env, "expected (ring, criticalRing, pool: ArrayBuffer, slabBytes, batchDelayMs, onSlab)")
        .ThrowAsJavaScriptException();
    return;
  }
  auto pool = info[2].As<Napi::ArrayBuffer>();
  const uint32_t slab_bytes = info[3].As<Napi::Number>().Uint32Value();
  const size_t slab_count = slab_bytes == 0 ? 0 : pool.ByteLength() / slab_bytes;
  if (slab_bytes < kSlabBytesMin || slab_bytes % 8 != 0 || slab_count == 0 || slab_count > kSlabsMax) {
    Napi::RangeError::New(env, "`slabBytes` must be a multiple of 8, at least 65536, and the pool 1 to 64 slabs")
        .ThrowAsJavaScriptException();
    return;
  }
  WakeCounts counts;
  Status found = object_.FindCounter("urgent_events_count", &counts.urgent);
  if (found.ok()) found = object_.FindCounter("killed_exits_count", &counts.killed);
  if (!found.ok()) {
    ThrowStatus(env, found, "");
    return;
  }
  on_slab_ = Napi::ThreadSafeFunction::New(env, info[5].As<Napi::Function>(), "hullguard ring", 0, 1);
  has_on_slab_ = true;
  pool_ = Napi::Reference<Napi::ArrayBuffer>::New(pool, 1);
  const Status status = reader_.Start(
      {bpf_map__fd(map), bpf_map__max_entries(map)}, {bpf_map__fd(critical), bpf_map__max_entries(critical)},
      static_cast<uint8_t*>(pool.Data()), slab_bytes, static_cast<uint32_t>(slab_count),
      info[4].As<Napi::Number>().Uint32Value(), counts, [this](uint32_t slab, uint32_t size_bytes) {
        // Bounded by the number of slabs, so the queue needs no bound of its own.
        const uint64_t packed = static_cast<uint64_t>(slab) << 32 | size_bytes;
        return on_slab_.NonBlockingCall(
                   reinterpret_cast<void*>(packed), [](Napi::Env js, Napi::Function callback, void* data) {
                     const auto value = reinterpret_cast<uint64_t>(data);
                     (void)callback.Call({Napi::Number::New(js, static_cast<double>(value >> 32)),
                                          Napi::Number::New(js, static_cast<double>(value & 0xffffffffU))});
                   }) == napi_ok;
      });
  if (!status.ok()) {
    (void)on_slab_.Abort();
    has_on_slab_ = false;
    ThrowStatus(env, status, "");
    return;
  }
  state_ = State::kRunning;
}

Napi::Value Sensor::JsRelease(const Napi::CallbackInfo& info) {
  if (info.Length() < 1 || !info[0].IsNumber()) {
    Napi::TypeError::New(info.Env(), "expected a number for `slab`").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Napi::Boolean::New(info.Env(), reader_.Release(info[0].As<Napi::Number>().Uint32Value()));
}

void Sensor::JsNudge(const Napi::CallbackInfo& info) {
  if (state_ == State::kRunning) reader_.Nudge();
}

Napi::Value Sensor::JsReaderThread(const Napi::CallbackInfo& info) {
  if (!Require(info.Env(), State::kRunning, "readerThread")) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), reader_.thread_id());
}

Napi::Value Sensor::JsStats(const Napi::CallbackInfo& info) {
  // In this order: bytes that left the ring before the first reading are in the second (see RingReader::FillSlab).
  const uint64_t waiting_bytes = reader_.running() ? reader_.WaitingBytes() : 0;
  const RingReaderStats stats = reader_.Stats();
  Napi::Object out = Napi::Object::New(info.Env());
  out.Set("slabsCount", static_cast<double>(stats.slabs_count));
  out.Set("bytesCount", static_cast<double>(stats.bytes_count));
  out.Set("waitsForSlabCount", static_cast<double>(stats.waits_for_slab_count));
  out.Set("wakeupsCount", static_cast<double>(stats.wakeups_count));
  out.Set("waitingBytes", static_cast<double>(waiting_bytes));
  return out;
}

Napi::Value Sensor::JsPrograms(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!Require(env, State::kLoaded, "programs")) return env.Undefined();
  std::vector<ProgramFacts> programs;
  const Status status = object_.ReadPrograms(&programs);
  if (!status.ok()) {
    ThrowStatus(env, status, "");
    return env.Undefined();
  }
  Napi::Array out = Napi::Array::New(env, programs.size());
  for (uint32_t i = 0; i < programs.size(); i++) {
    Napi::Object facts = Napi::Object::New(env);
    facts.Set("name", programs[i].name);
    facts.Set("verifiedCount", programs[i].verified_count);
    facts.Set("recursionMissesCount", static_cast<double>(programs[i].recursion_misses_count));
    out.Set(i, facts);
  }
  return out;
}

void Sensor::JsClose(const Napi::CallbackInfo& info) {
  CloseAll();
  pool_.Reset();
}

}  // namespace hullguard
