{
  "targets": [
    {
      "target_name": "hullguard_native",
      "sources": ["native/addon.cc", "native/probe_object.cc", "native/ring_reader.cc", "native/sensor.cc", "native/system_calls.cc"],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": ["NAPI_VERSION=8", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags_cc": ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fno-exceptions", "-fvisibility=hidden"],
      "libraries": ["-lbpf"],
      "ldflags": ["-Wl,-rpath,'$$ORIGIN'", "-Wl,--disable-new-dtags"]
    }
  ]
}
