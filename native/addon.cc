// SPDX-License-Identifier: Apache-2.0
// Entry of the addon. Context-aware: every environment (worker) gets its own classes; the library log is the process's.
#include <napi.h>

#include "sensor.h"
#include "system_calls.h"

namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Sensor", hullguard::Sensor::Init(env));
  hullguard::InitSystemCalls(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(hullguard_native, Init)
