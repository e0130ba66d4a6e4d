#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/hicra.hpp"

namespace roars::golden::of_hicra {
namespace {

Json advantage(const Inputs& in) {
    auto part = methods::hicra.advantage;
    part.weight.alpha = in.real("alpha");
    auto batch = batch_of<columns<col::groups, col::reward, col::planning, col::advantage>>(in);
    engine::estimate(part, batch);
    return {{"advantage", batch[col::advantage{}]}};
}

/// The batch with its tokens marked by the sampler's own part.
struct Marked {
    explicit Marked(const Inputs& in) : batch(batch_of<columns<col::token, col::planning, col::entropy>>(in)) {
        state.tokens = in.wholes("gram");
        state.offsets = in.wholes("gram_offsets");
        backend::Host host;
        Run run{host};
        sampler::MarkGrams{}.amend(run, state, batch);
    }
    Batch<double, columns<col::token, col::planning, col::entropy>> batch;
    sampler::MarkGrams::State state;
};

Json mark(const Inputs& in) {
    Marked marked(in);
    return {{"planning", marked.batch[col::planning{}]}, {"gram_count", marked.state.occurrences}};
}

Json entropies(const Inputs& in) {
    Marked marked(in);
    auto mean = metrics::split_mean(marked.batch[col::entropy{}], marked.batch[col::planning{}]);
    return {{"semantic_entropy", metrics::semantic_entropy(marked.state.occurrences)},
            {"token_entropy_planning", mean.marked.mean},
            {"token_entropy_execution", mean.others.mean}};
}

Json mining(const Inputs& in) {
    auto mined = metrics::mine_grams(in.wholes("cluster"), in.whole("clusters"), in.wholes("document_gram"),
                                     in.wholes("document_offsets"), in.real("top_fraction"));
    return {{"document_frequency", mined.document_frequency},
            {"kept_cluster", mined.kept_clusters},
            {"strategic_gram", mined.grams}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("68-hicra", "advantage", "advantage")] = advantage;
    registry[key("68-hicra", "sampler", "sampler")] = mark;
    registry[key("68-hicra", "metric", "metric.1")] = entropies;
    registry[key("68-hicra", "metric", "metric.2")] = mining;
}

}  // namespace roars::golden::of_hicra
