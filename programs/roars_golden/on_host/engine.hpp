#pragma once

#include "host_engine.hpp"

/// Where the parts of a case run: here on the host. cuda/tests/golden/engine.hpp is the same on a device.
namespace roars::golden::engine {

using namespace on_host;

/// Calls that a device has done.
inline std::int64_t calls_on_device() { return 0; }

}  // namespace roars::golden::engine
