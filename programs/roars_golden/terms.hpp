#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include "engine.hpp"
#include "golden.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"

/// Batches of inputs for terms of a loss and for the losses of whole algorithms.
namespace roars::golden {

/// All that a term reads and writes, and room for its gradients.
template <class Term>
using ColumnsOf = unite_t<needs_of<Term>, gives_of<Term>, roars::detail::prepare_needs_of<Term>, columns<col::mask>,
                          decltype(roars::detail::gradients_of(typename Term::differentiates{}))>;

/// The batch of the inputs. A mask that is not given is all ones; without offsets there is one sequence.
template <class Set>
auto batch_with_mask(const Inputs& in, const std::string& per_token) {
    auto batch = [&] {
        if (in.has("token_offsets")) return batch_of<Set>(in);
        Json json = in.json();
        json["token_offsets"] = {0, json.at(per_token).size()};
        return batch_of<Set>(Inputs(json));
    }();
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}

template <class BatchType, class Term, class Aggregate>
auto run_term(BatchType& batch, const Term& term, const Aggregate& aggregate) {
    return engine::terms(batch, aggregate, term);
}

/// The loss of an algorithm's terms together, on the columns that they read.
template <class A>
class ObjectiveCase {
public:
    using Set = unite_t<typename A::ObjectiveStage::needs, typename A::ObjectiveStage::gives,
                        typename A::OfTerms::masks, typename A::Gradients, columns<col::mask>>;

    ObjectiveCase(const A& algorithm, const Inputs& in, const typename A::State& state = {})
        : batch(batch_with_mask<Set>(in, "logp")) {
        result.emplace(engine::objective(algorithm, batch, state));
    }
    Json loss_and_gradient() const { return {{"loss", result->loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}}; }

    Batch<double, Set> batch;

private:
    template <class... Term>
    static Result<Term...> result_of(const std::tuple<Term...>&);

public:
    std::optional<decltype(result_of(std::declval<typename A::Terms>()))> result;
};

}  // namespace roars::golden
