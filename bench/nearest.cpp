/// The nearest of 50,000 rows for 256 queries, by each search: where they cross says which one NearestSearch takes.
/// Time is the processor's, for one thread (OMP_NUM_THREADS=1), so that the machine's other users do not count. Rows
/// are normal, one unit a column; a query is another such row (`apart`), or a row and a tenth of a unit (`near`).
#include "roars/primitives/nearest.hpp"
#include "measure.hpp"

namespace {

using namespace roars;

template <class Search, bool near>
void nearest(benchmark::State& state) {
    constexpr std::int64_t rows = 50000, queries = 256;
    const std::int64_t width = state.range(0);
    std::vector<double> stored(static_cast<std::size_t>(rows * width)),
        query(static_cast<std::size_t>(queries * width));
    bench::fill_normal(std::span(stored), 1, 0.0, 1.0);
    bench::fill_normal(std::span(query), 2, 0.0, near ? 0.1 : 1.0);
    if (near)
        for (std::size_t i = 0; i < query.size(); ++i) query[i] += stored[i];
    Search search(stored, width);
    std::vector<Neighbour> found(static_cast<std::size_t>(queries));
    backend::Host backend;
    for (auto _ : state) {
        nearest_rows(backend, search, query, 1, std::span(found));
        benchmark::DoNotOptimize(found.data());
    }
}
void widths(benchmark::internal::Benchmark* each) {
    each->ArgName("width")->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
    for (std::int64_t width : {3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 23, 28, 32}) each->Arg(width);
}
BENCHMARK(nearest<ProductSearch, false>)->Name("product/apart")->Apply(widths);
BENCHMARK(nearest<ProductSearch, true>)->Name("product/near")->Apply(widths);
#if ROARS_NANOFLANN
BENCHMARK(nearest<TreeSearch, false>)->Name("tree/apart")->Apply(widths);
BENCHMARK(nearest<TreeSearch, true>)->Name("tree/near")->Apply(widths);
#endif

}  // namespace

BENCHMARK_MAIN();
