#include "golden.hpp"
#include "rows.hpp"

#include "roars/critic/forward_backward.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/reward/task_inference.hpp"
#include "roars/sampler/contexts.hpp"
#include "roars/sampler/task_vectors.hpp"

namespace roars::golden::of_zero_shot {
namespace {

using Read = critic::Rows<const double>;
using Write = critic::Rows<double>;

/// Inputs name_1, name_2, ... of the forward networks, as many as there are. Errors: none.
std::vector<Table> networks(const Inputs& in, const std::string& name) {
    std::vector<Table> tables;
    for (int k = 1; in.has(name + '_' + std::to_string(k)); ++k)
        tables.emplace_back(in, name + '_' + std::to_string(k));
    expect(!tables.empty(), [&] { return name + "_1 is missing"; });
    return tables;
}
std::vector<Read> read(const std::vector<Table>& tables) {
    std::vector<Read> rows;
    for (const Table& table : tables) rows.push_back(table.rows());
    return rows;
}
std::vector<Write> write(std::vector<Table>& tables) {
    std::vector<Write> rows;
    for (Table& table : tables) rows.push_back(table.rows());
    return rows;
}

Json loss(const Inputs& in) {
    backend::Host host;
    critic::ForwardBackward part{in.real("gamma"), in.real("ortho_coef")};
    auto forward = networks(in, "forward"), target_forward = networks(in, "target_forward");
    const Table backward(in, "backward"), target_backward(in, "target_backward");
    Table target(backward.count(), backward.count()), grad_backward = backward;
    part.target<double>(read(target_forward), target_backward.rows(), target.rows());
    auto gradients = forward;
    auto done = in.reals("done");
    auto found = part.loss<double>(host, read(forward), backward.rows(), std::as_const(target).rows(), done,
                                   write(gradients), grad_backward.rows());
    Json json = {{"off_diagonal_loss", found.off_diagonal},
                 {"diagonal_loss", found.diagonal},
                 {"ortho_loss", found.orthonormal},
                 {"loss", found.total()},
                 {"grad_backward", json_of(grad_backward)}};
    for (std::size_t k = 0; k < gradients.size(); ++k)
        json["grad_forward_" + std::to_string(k + 1)] = json_of(gradients[k]);
    return json;
}

Json penalties(const Inputs& in) {
    backend::Host host;
    const auto samples = networks(in, "forward_samples"), forward = networks(in, "forward");
    roars::detail::expect_size("forward_samples", samples.size(), std::ssize(forward));
    const Table task(in, "z"), backward(in, "backward");
    double by_value = 0, by_measure = 0;
    Json json;
    for (std::size_t k = 0; k < forward.size(); ++k) {
        Table grad_samples = samples[k], grad_forward = forward[k], grad_backward = backward;
        std::string number = '_' + std::to_string(k + 1);
        by_value += critic::conservative_values<double>(host, samples[k].rows(), forward[k].rows(), task.rows(),
                                                        grad_samples.rows(), grad_forward.rows());
        json["value_grad_forward" + number] = json_of(grad_forward);
        json["value_grad_samples" + number] = json_of(grad_samples);
        by_measure +=
            critic::conservative_measures<double>(host, samples[k].rows(), forward[k].rows(), backward.rows(),
                                                  grad_samples.rows(), grad_forward.rows(), grad_backward.rows());
        json["measure_grad_forward" + number] = json_of(grad_forward);
        json["measure_grad_samples" + number] = json_of(grad_samples);
    }
    json["value_penalty"] = by_value;
    json["measure_penalty"] = by_measure;
    return json;
}

Json weight(const Inputs& in) {
    regularizer::TunedWeight part{
        in.real("penalty_target"), in.real("alpha_max"), {.learning_rate = in.real("learning_rate")}};
    regularizer::TunedWeight::State state{in.real("log_alpha"), {}};
    double penalty = in.real("penalty");
    Json json = {{"alpha", part.weight(state)},
                 {"alpha_loss", part.loss(state, penalty)},
                 {"grad_log_alpha", part.slope(state, penalty)}};
    double tuned = part.tune(state, penalty);
    json["alpha_new"] = tuned;
    json["total_loss"] = in.real("core_loss") + tuned * penalty;
    return json;
}

Json tasks(const Inputs& in) {
    backend::Host host;
    sampler::TaskVectors part{in.real("mix_ratio")};
    const Table noise(in, "normal_noise"), backward(in, "backward");
    Table task = noise;
    auto uniform = in.reals("mix_uniform");
    part.mix<double>(host, noise.rows(), backward.rows(), uniform, in.wholes("permutation"), task.rows());
    std::vector<int> mixed;
    for (double each : uniform) mixed.push_back(part.mixed(each));
    return {{"z", json_of(task)}, {"mixed", mixed}};
}

Json inference(const Inputs& in) {
    backend::Host host;
    const Table backward(in, "backward");
    auto reward = in.reals("reward");
    auto forward = networks(in, "forward");
    const std::int64_t goal = in.whole("goal");
    expect(goal >= 0 && goal < backward.count(),
           [&] { return "goal is row " + std::to_string(goal) + " of " + std::to_string(backward.count()); });
    auto by_reward = reward::task_of_rewards<double>(host, backward.rows(), reward);
    std::vector<double> q(static_cast<std::size_t>(forward.at(0).count()));
    critic::task_values<double>(read(forward), by_reward, q);
    return {{"z_reward", by_reward},
            {"z_goal", reward::task_of_goal<double>(backward.rows()[goal])},
            {"q", q},
            {"action", critic::greedy_action(std::span(q))}};
}

template <class Padding>
Json contexts_of(const Inputs& in) {
    backend::Host host;
    const Table state(in, "state"), action(in, "action");
    sampler::Contexts<Padding> part{in.whole("context")};
    Table context(state.count(), part.length * (state.width + action.width));
    part.template fill<double>(host, in.wholes("sequence_offsets"), state.rows(), action.rows(), context.rows());
    return json_of(context);
}
Json contexts(const Inputs& in) {
    return {{"context_repeat", contexts_of<sampler::padding::Repeat>(in)},
            {"context_zero", contexts_of<sampler::padding::Zero>(in)}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("12-zero-shot-rl", "loss", "loss.1")] = loss;
    registry[key("12-zero-shot-rl", "regularizer", "regularizer")] = penalties;
    registry[key("12-zero-shot-rl", "loss", "loss.2")] = weight;
    registry[key("12-zero-shot-rl", "sampler", "sampler.1")] = tasks;
    registry[key("12-zero-shot-rl", "reward", "reward")] = inference;
    registry[key("12-zero-shot-rl", "sampler", "sampler.2")] = contexts;
}

}  // namespace roars::golden::of_zero_shot
