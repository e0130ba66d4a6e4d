#pragma once

#include "roars/algorithm.hpp"
#include "roars/cuda/batch.hpp"

/// A part that has no kernel of its own runs where it is written: on the host. The columns that it reads are copied
/// there, and those that it gives back. It waits for the device, and cannot be captured in a graph; which parts need it
/// is known to the compiler (runs_on_device).
namespace roars::gpu {

namespace detail {

/// work(host run, host batch) on a copy of the columns of `Reads`; those of `Writes` then come back.
template <class Reads, class Writes, class D, class BatchType, class Work>
void on_host(Run<D>& run, BatchType& batch, Work&& work) {
    using Present = typename BatchType::Columns;
    auto host = batch.download(common_t<unite_t<Reads, columns<col::mask>>, Present>{}, Writes{});
    backend::Host backend;
    backend.grain = run.backend.grain;
    Run<backend::Host> host_run{backend, run.random, run.progress};
    work(host_run, host);
    batch.upload(common_t<Writes, Present>{}, host);
    run.backend.wait();  // the host's copy ends here
}

}  // namespace detail
}  // namespace roars::gpu
