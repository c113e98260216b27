// SPDX-License-Identifier: Apache-2.0
#include "system_calls.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "result.h"

namespace hullguard {

namespace {

Napi::Value Answer(const Napi::CallbackInfo& info, long result) {
  return Napi::Number::New(info.Env(), static_cast<double>(result < 0 ? -errno : result));
}

bool Numbers(const Napi::CallbackInfo& info, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (info.Length() > i && info[i].IsNumber()) continue;
    Napi::TypeError::New(info.Env(), "expected numbers").ThrowAsJavaScriptException();
    return false;
  }
  return true;
}

int32_t Argument(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Int32Value(); }

// pidfdOpen(pid): a descriptor of that very process; it never comes to mean another one.
Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  if (!Numbers(info, 1)) return info.Env().Undefined();
  return Answer(info, syscall(SYS_pidfd_open, Argument(info, 0), 0));
}

// pidfdSendSignal(fd, signal)
Napi::Value PidfdSendSignal(const Napi::CallbackInfo& info) {
  if (!Numbers(info, 2)) return info.Env().Undefined();
  return Answer(info, syscall(SYS_pidfd_send_signal, Argument(info, 0), Argument(info, 1), nullptr, 0));
}

// setThreadNice(thread, nice): what the thread starts from then on, threads and programs, begins with nice 0 when this is less.
Napi::Value SetThreadNice(const Napi::CallbackInfo& info) {
  if (!Numbers(info, 2)) return info.Env().Undefined();
  const int thread = Argument(info, 0), nice = Argument(info, 1);
  const sched_param none{};
  if (sched_setscheduler(thread, nice < 0 ? SCHED_OTHER | SCHED_RESET_ON_FORK : SCHED_OTHER, &none) != 0)
    return Answer(info, -1);
  return Answer(info, setpriority(PRIO_PROCESS, static_cast<id_t>(thread), nice));
}

// lockFile(fd): an exclusive lock that goes with the process, or -EWOULDBLOCK at once.
Napi::Value LockFile(const Napi::CallbackInfo& info) {
  if (!Numbers(info, 1)) return info.Env().Undefined();
  return Answer(info, flock(Argument(info, 0), LOCK_EX | LOCK_NB));
}

// isSameFileInRoot(rootDirectory, path, otherFile): 1 when `path`, resolved with rootDirectory as its root (symlinks and ..
// stay below it), is the file that `otherFile` leads to; 0 when it is another one; a negative errno when either is gone.
Napi::Value IsSameFileInRoot(const Napi::CallbackInfo& info) {
  if (info.Length() < 3 || !info[0].IsString() || !info[1].IsString() || !info[2].IsString()) {
    Napi::TypeError::New(info.Env(), "expected (rootDirectory: string, path: string, otherFile: string)")
        .ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  const Fd root(open(info[0].As<Napi::String>().Utf8Value().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Answer(info, -1);
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  const Fd file(static_cast<int>(
      syscall(SYS_openat2, root.get(), info[1].As<Napi::String>().Utf8Value().c_str(), &how, sizeof(how))));
  if (!file.valid()) return Answer(info, -1);
  struct stat in_root {
  }, other{};
  if (fstat(file.get(), &in_root) != 0 || stat(info[2].As<Napi::String>().Utf8Value().c_str(), &other) != 0)
    return Answer(info, -1);
  return Answer(info, in_root.st_dev == other.st_dev && in_root.st_ino == other.st_ino ? 1 : 0);
}

// callOpens(mark): what the calls that open say of making the root directory a file with the mode `mark`, and, last of them,
// open_by_handle_at of no handle on the mount of descriptor -mark. None of them can succeed.
Napi::Value CallOpens(const Napi::CallbackInfo& info) {
  if (!Numbers(info, 1)) return info.Env().Undefined();
  const int mark = Argument(info, 0), flags = O_WRONLY | O_CREAT;
  open_how how{};
  how.flags = flags;
  how.mode = static_cast<uint64_t>(mark);
  Napi::Array results = Napi::Array::New(info.Env());
  const auto note = [&](long result) {
    const Napi::Value answer = Answer(info, result);
    results.Set(results.Length(), answer);
  };
#ifdef SYS_open  // arm64 has neither of the two
  note(syscall(SYS_open, "/", flags, mark));
  note(syscall(SYS_creat, "/", mark));
#endif
  note(syscall(SYS_openat, AT_FDCWD, "/", flags, mark));
  note(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)));
  note(syscall(SYS_open_by_handle_at, -mark, nullptr, O_RDONLY));
  return results;
}

uint64_t ClockNs(clockid_t clock) {
  timespec now{};
  (void)clock_gettime(clock, &now);  // both clocks exist on every kernel with BPF
  return static_cast<uint64_t>(now.tv_sec) * 1000000000ULL + static_cast<uint64_t>(now.tv_nsec);
}

// bootClockOffsetNs(): bigint to add to CLOCK_BOOTTIME for UTC. The reading between two boot readings that lie closest counts.
Napi::Value BootClockOffsetNs(const Napi::CallbackInfo& info) {
  uint64_t best_width = UINT64_MAX;
  int64_t best_offset = 0;
  for (int i = 0; i < 5; i++) {
    const uint64_t before = ClockNs(CLOCK_BOOTTIME), utc = ClockNs(CLOCK_REALTIME), after = ClockNs(CLOCK_BOOTTIME);
    if (after - before >= best_width) continue;
    best_width = after - before;
    best_offset = static_cast<int64_t>(utc - (before + (after - before) / 2));
  }
  return Napi::BigInt::New(info.Env(), best_offset);
}

// bootClockNs(): CLOCK_BOOTTIME, the clock of every event.
Napi::Value BootClockNs(const Napi::CallbackInfo& info) {
  return Napi::BigInt::New(info.Env(), ClockNs(CLOCK_BOOTTIME));
}

// releaseFreeHeap(): to the kernel. Nothing depends on how much that is.
Napi::Value ReleaseFreeHeap(const Napi::CallbackInfo& info) {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
  return info.Env().Undefined();
}

}  // namespace

void InitSystemCalls(Napi::Env env, Napi::Object exports) {
  exports.Set("pidfdOpen", Napi::Function::New<PidfdOpen>(env, "pidfdOpen"));
  exports.Set("pidfdSendSignal", Napi::Function::New<PidfdSendSignal>(env, "pidfdSendSignal"));
  exports.Set("bootClockOffsetNs", Napi::Function::New<BootClockOffsetNs>(env, "bootClockOffsetNs"));
  exports.Set("bootClockNs", Napi::Function::New<BootClockNs>(env, "bootClockNs"));
  exports.Set("isSameFileInRoot", Napi::Function::New<IsSameFileInRoot>(env, "isSameFileInRoot"));
  exports.Set("callOpens", Napi::Function::New<CallOpens>(env, "callOpens"));
  exports.Set("setThreadNice", Napi::Function::New<SetThreadNice>(env, "setThreadNice"));
  exports.Set("releaseFreeHeap", Napi::Function::New<ReleaseFreeHeap>(env, "releaseFreeHeap"));
  exports.Set("lockFile", Napi::Function::New<LockFile>(env, "lockFile"));
}

}  // namespace hullguard
