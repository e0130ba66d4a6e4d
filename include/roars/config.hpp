#pragma once

/// Version and the two compiler-dependent words that every other header uses. All macros of the library begin with
/// ROARS_. Thrust takes CUDA for granted unless told otherwise, so a plain C++ compiler is told here.
#define ROARS_VERSION_MAJOR 0
#define ROARS_VERSION_MINOR 1
#define ROARS_VERSION_PATCH 0

/// A function that runs on the host, and in a kernel where a CUDA compiler reads it.
#if defined(__CUDACC__)
#define ROARS_FN __host__ __device__
#else
#define ROARS_FN
#if !defined(THRUST_DEVICE_SYSTEM)
#if defined(_OPENMP)
#define THRUST_DEVICE_SYSTEM 2  // THRUST_DEVICE_SYSTEM_OMP
#else
#define THRUST_DEVICE_SYSTEM 4  // THRUST_DEVICE_SYSTEM_CPP
#endif
#endif
#endif

/// Inlined whatever the optimiser thinks of its size: the composed objective must become one loop.
#if defined(_MSC_VER)
#define ROARS_INLINE __forceinline
#else
#define ROARS_INLINE inline __attribute__((always_inline))
#endif
