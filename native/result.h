// SPDX-License-Identifier: Apache-2.0
// Errors of the native layer: a negative errno with a sentence that says what was tried. No exceptions cross any of this.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace hullguard {

struct [[nodiscard]] Status {
  int error = 0;  // 0 or a positive errno
  std::string message;

  bool ok() const { return error == 0; }
  static Status Ok() { return {}; }
  static Status Fail(int error, std::string message) { return {error < 0 ? -error : error, std::move(message)}; }
  static Status FromErrno(std::string what) {
    const int error = errno;
    return {error, std::move(what) + ": " + std::strerror(error)};
  }
};

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void Reset();

 private:
  int fd_ = -1;
};

}  // namespace hullguard
