// SPDX-License-Identifier: Apache-2.0
// The few system calls that Node lacks. Thread: JavaScript. Each returns a descriptor or 0, or a negative errno.
#pragma once

#include <napi.h>

namespace hullguard {

void InitSystemCalls(Napi::Env env, Napi::Object exports);

}  // namespace hullguard
