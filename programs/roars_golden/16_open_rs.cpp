#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/open_rs.hpp"

namespace roars::golden::of_open_rs {
namespace {

/// An answer whose length is given and not counted.
struct Answer {
    double correct, verifiable, tokens;
    ROARS_FN double operator[](col::outcome) const { return correct; }
    ROARS_FN double operator[](col::verifiable) const { return verifiable; }
    ROARS_FN double length() const { return tokens; }
};

template <class Cosine>
Json cosine_case(const Inputs& in) {
    reward::IfVerifiable<Cosine> part{.base = {.right_at_zero = in.real("max_value_correct"),
                                               .right_at_max = in.real("min_value_correct"),
                                               .wrong_at_zero = in.real("min_value_wrong"),
                                               .wrong_at_max = in.real("max_value_wrong"),
                                               .max_length = in.real("max_len")},
                                      .otherwise = in.real("unparsable_reward", 1.0)};
    auto length = in.reals("length"), correct = in.reals("correct");
    auto verifiable = in.has("gold_parsable") ? in.reals("gold_parsable") : std::vector<double>(length.size(), 1.0);
    std::vector<double> reward;
    for (std::size_t i = 0; i < length.size(); ++i)
        reward.push_back(part.value(Answer{correct[i], verifiable[i], length[i]}));
    return {{"reward", reward}};
}
Json cosine(const Inputs& in) {
    return in.real("clamp_progress", 1.0) != 0.0 ? cosine_case<reward::HeldCosineLength>(in)
                                                 : cosine_case<reward::PeriodicCosineLength>(in);
}

Json format(const Inputs& in) {
    std::string mark = in.has("mark") ? in.text("mark") : "\n</think>\n";
    std::vector<double> reward;
    for (const auto& text : in.json().at("text"))
        reward.push_back(reward::marked_once(text.get<std::string>(), mark) ? 1.0 : 0.0);
    return {{"reward", reward}};
}

/// A component of a case as a reward.
struct GivenComponent {
    const double* values = nullptr;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return values[x.index()];
    }
};

Json advantage(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::outcome, col::reward, col::advantage>>(in);
    auto components = in.rows("reward_component");
    auto weights = in.reals("reward_weight");
    for (std::size_t i = 0; i < batch[col::reward{}].size(); ++i) {
        SequenceView x(batch, static_cast<std::int64_t>(i));
        for (std::size_t k = 0; k < components.size(); ++k)
            batch[col::reward{}][i] +=
                reward::Scale<GivenComponent>{.base = {components[k].data()}, .factor = weights[k]}.value(x);
    }
    auto part = methods::open_rs.advantage;
    part.scale = {.eps = in.real("eps", 1e-4), .ddof = int(in.real("ddof", 1))};
    engine::estimate(part, batch);
    return {{"reward", batch[col::reward{}]}, {"advantage", batch[col::advantage{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("16-open-rs", "reward", "reward.1")] = cosine;
    registry[key("16-open-rs", "reward", "reward.2")] = format;
    registry[key("16-open-rs", "advantage", "advantage")] = advantage;
}

}  // namespace roars::golden::of_open_rs
