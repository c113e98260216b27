// SPDX-License-Identifier: Apache-2.0
// The Sensor class that JavaScript sees: one BPF object and one ring reader. Thread: JavaScript thread, but for HandOff.
// States: new -> open -> loaded -> running -> closed; a method in the wrong state throws and changes nothing.
#pragma once

#include <napi.h>

#include <memory>

#include "probe_object.h"
#include "ring_reader.h"

namespace hullguard {

class Sensor : public Napi::ObjectWrap<Sensor> {
 public:
  static Napi::Function Init(Napi::Env env);
  explicit Sensor(const Napi::CallbackInfo& info);
  ~Sensor() override;

 private:
  enum class State { kNew, kOpen, kLoaded, kRunning, kClosed };

  void JsOpen(const Napi::CallbackInfo& info);
  void JsLoad(const Napi::CallbackInfo& info);
  void JsAttach(const Napi::CallbackInfo& info);
  void JsDetach(const Napi::CallbackInfo& info);
  void JsUpdate(const Napi::CallbackInfo& info);
  Napi::Value JsDelete(const Napi::CallbackInfo& info);
  Napi::Value JsLookup(const Napi::CallbackInfo& info);
  Napi::Value JsKeys(const Napi::CallbackInfo& info);
  Napi::Value JsReadIterator(const Napi::CallbackInfo& info);
  void JsStart(const Napi::CallbackInfo& info);
  Napi::Value JsRelease(const Napi::CallbackInfo& info);
  void JsNudge(const Napi::CallbackInfo& info);
  Napi::Value JsPrograms(const Napi::CallbackInfo& info);
  Napi::Value JsReaderThread(const Napi::CallbackInfo& info);
  Napi::Value JsStats(const Napi::CallbackInfo& info);
  void JsClose(const Napi::CallbackInfo& info);

  [[nodiscard]] bool Require(Napi::Env env, State least, const char* method);
  // The map named by argument `index`, or nullptr with an exception pending.
  bpf_map* MapArgument(const Napi::CallbackInfo& info, size_t index = 0);
  // Argument `index` as bytes of exactly `size_bytes`, or nullptr with an exception pending.
  uint8_t* BytesArgument(const Napi::CallbackInfo& info, size_t index, size_t size_bytes, const char* name);
  void CloseAll();
  static void CleanUp(void* sensor);

  napi_env env_;
  State state_ = State::kNew;
  ProbeObject object_;
  RingReader reader_;
  Napi::ThreadSafeFunction on_slab_;
  bool has_on_slab_ = false;
  Napi::Reference<Napi::ArrayBuffer> pool_;  // keeps the slabs alive while the reader writes into them
};

// Throws a JavaScript Error with `errno` (name's number) and `log` (what libbpf said).
void ThrowStatus(Napi::Env env, const Status& status, const std::string& log);

}  // namespace hullguard
