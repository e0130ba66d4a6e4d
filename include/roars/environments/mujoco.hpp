#pragma once

/// Hopper, HalfCheetah, Walker2d and Ant to Gymnasium's definitions, on the MuJoCo library, behind ROARS_MUJOCO, which
/// the build defines where it found it. The models are Gymnasium's and not part of this library: they are looked for at
/// run time, where the setting `model` or else the environment variable ROARS_MUJOCO_MODELS says.
#if defined(ROARS_MUJOCO)

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include <mujoco/mujoco.h>

#include "roars/environments/environment.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::env {

namespace detail {

/// What a step of the simulation starts from, and what of its results is observed: all of a copy's state.
template <int positions, int velocities, int forces = 0>
struct MujocoState {
    std::array<double, std::size_t(positions)> position;
    std::array<double, std::size_t(velocities)> velocity;
    std::array<double, std::size_t(velocities)> warm_start;  ///< accelerations the solver begins with
    double torso_x;                                          ///< as of the last but one step of the simulation
    std::array<double, std::size_t(forces)> contact_force;   ///< of each body, in its frame; not of the first state
};

/// A model and the memory of a simulation. A thread has one of its own for each model.
class Simulator {
public:
    explicit Simulator(const std::string& path) : model_(load(path)), data_(mj_makeData(model_.get()), mj_deleteData) {
        expect(data_ != nullptr, [&] { return path + ": MuJoCo cannot make room for it"; });
        torso_ = std::max(0, mj_name2id(model_.get(), mjOBJ_BODY, "torso"));
    }

    const mjModel& model() const { return *model_; }

    /// Gymnasium's set_state: positions and velocities, and what follows from them.
    template <class State>
    void place(State& state) {
        mj_resetData(model_.get(), data_.get());
        std::copy(state.position.begin(), state.position.end(), data_->qpos);
        std::copy(state.velocity.begin(), state.velocity.end(), data_->qvel);
        mj_forward(model_.get(), data_.get());
        state.contact_force = {};
        read(state);
    }

    /// `frames` steps of the simulation under one action.
    template <class State, class Real>
    void advance(State& state, std::span<const Real> action, int frames) {
        std::copy(state.position.begin(), state.position.end(), data_->qpos);
        std::copy(state.velocity.begin(), state.velocity.end(), data_->qvel);
        std::copy(state.warm_start.begin(), state.warm_start.end(), data_->qacc_warmstart);
        std::copy(action.begin(), action.end(), data_->ctrl);
        for (int i = 0; i < frames; ++i) mj_step(model_.get(), data_.get());
        std::copy_n(data_->qpos, state.position.size(), state.position.begin());
        std::copy_n(data_->qvel, state.velocity.size(), state.velocity.begin());
        if constexpr (std::tuple_size_v < decltype(state.contact_force) >> 0) {
            mj_rnePostConstraint(model_.get(), data_.get());
            std::copy_n(data_->cfrc_ext, state.contact_force.size(), state.contact_force.begin());
        }
        read(state);
    }

    /// The calling thread's simulator of the model at `path`, whose numbers of positions, velocities, actions and
    /// bodies must be these. Errors: no such file, no model, another one.
    static Simulator& of(const std::string& path, int positions, int velocities, int actions, int bodies) {
        thread_local std::map<std::string, Simulator> simulators;
        Simulator& found = simulators.try_emplace(path, path).first->second;
        const mjModel& m = found.model();
        expect(m.nq == positions && m.nv == velocities && m.nu == actions && m.nbody == bodies && m.na == 0, [&] {
            return path + ": " + std::to_string(m.nq) + " positions, " + std::to_string(m.nv) + " velocities, " +
                   std::to_string(m.nu) + " actuators and " + std::to_string(m.nbody) + " bodies, expected " +
                   std::to_string(positions) + ", " + std::to_string(velocities) + ", " + std::to_string(actions) +
                   " and " + std::to_string(bodies);
        });
        return found;
    }

private:
    template <class State>
    void read(State& state) const {
        std::copy_n(data_->qacc_warmstart, state.warm_start.size(), state.warm_start.begin());
        state.torso_x = data_->xpos[3 * torso_];
    }

    /// One copy of each model, for all threads.
    static std::shared_ptr<const mjModel> load(const std::string& path) {
        static std::mutex mutex;
        static std::map<std::string, std::shared_ptr<const mjModel>> models;
        std::lock_guard lock(mutex);
        auto& model = models[path];
        if (!model) {
            mju_user_warning = [](const char*) {};  // else a file MUJOCO_LOG.TXT beside whatever runs
            char message[1000] = "";
            mjModel* read = mj_loadXML(path.c_str(), nullptr, message, sizeof message);
            std::string line(message);
            std::replace(line.begin(), line.end(), '\n', ' ');
            expect(read != nullptr, [&] { return path + ": no model of MuJoCo's: " + line; });
            model =
                std::shared_ptr<const mjModel>(read, [](const mjModel* m) { mj_deleteModel(const_cast<mjModel*>(m)); });
        }
        return model;
    }

    std::shared_ptr<const mjModel> model_;
    std::unique_ptr<mjData, void (*)(mjData*)> data_;
    int torso_ = 0;
};

/// The file of a model: `setting`, or where that is empty ROARS_MUJOCO_MODELS, is the file itself, the folder that
/// holds it, or a folder of Python packages that holds Gymnasium. Errors: none is there; the message says what to do.
inline std::string find_model(const std::string& setting, const std::string& name) {
    const char* variable = std::getenv("ROARS_MUJOCO_MODELS");
    const std::string place = !setting.empty() ? setting : variable != nullptr ? variable : "";
    for (const auto& path : {place, place + "/" + name, place + "/gymnasium/envs/mujoco/assets/" + name})
        if (path.ends_with(".xml") && std::filesystem::is_regular_file(path)) return path;
    throw Error(name + (place.empty() ? ": no folder of models is known" : ": is not in " + place) +
                "; set ROARS_MUJOCO_MODELS to the folder gymnasium/envs/mujoco/assets of the Python package gymnasium");
}

/// What the worlds share: where the model is, the time of a step, the noise of the start.
template <class World, int positions, int velocities, int actions, int bodies, bool with_forces>
struct MujocoWorld {
    static constexpr int action_size = actions;
    static constexpr int max_steps = 1000;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    using State = MujocoState<positions, velocities, with_forces ? 6 * bodies : 0>;

    /// The state of these positions and velocities, as an episode may begin with.
    void place(State& state) const { simulator().place(state); }

    void reset(State& state, RandomStream& random) const {
        auto& simulation = simulator();
        const double noise = world().reset_noise;
        for (std::size_t i = 0; i < state.position.size(); ++i)
            state.position[i] = simulation.model().qpos0[i] + detail::uniform(random, -noise, noise);
        for (double& each : state.velocity)
            each = World::normal_velocities ? noise * random.normal() : detail::uniform(random, -noise, noise);
        simulation.place(state);
    }

protected:
    /// One step; returns its seconds.
    template <class Real>
    double simulate(State& state, std::span<const Real> action) const {
        auto& simulation = simulator();
        simulation.advance(state, action, World::frames);
        return simulation.model().opt.timestep * World::frames;
    }
    template <class Real>
    double cost_of(std::span<const Real> action) const {
        double sum = 0;
        for (Real each : action) sum += double(each) * double(each);
        return world().control_cost * sum;
    }

private:
    const World& world() const { return static_cast<const World&>(*this); }
    Simulator& simulator() const {
        struct Last {
            std::string setting;
            Simulator* simulator = nullptr;
        };
        thread_local Last last;  // looking for the file costs as much as a step
        if (last.simulator == nullptr || last.setting != world().model)
            last = {world().model,
                    &Simulator::of(find_model(world().model, World::file), positions, velocities, actions, bodies)};
        return *last.simulator;
    }
};

/// positions from `skip`, then velocities held to +-limit.
template <class Real, class State>
std::size_t observe_motion(const State& state, std::size_t skip, double limit, std::span<Real> to) {
    std::size_t k = 0;
    for (std::size_t i = skip; i < state.position.size(); ++i) to[k++] = static_cast<Real>(state.position[i]);
    for (double each : state.velocity) to[k++] = static_cast<Real>(std::clamp(each, -limit, limit));
    return k;
}

}  // namespace detail

/// Hopper-v5 and, as Hopper<4>, -v4: reward = forward x' + healthy - control |a|^2; unhealthy where height, angle or
/// any number of the state but x and z is out of its range, and the world ends there. In v4 the last step is paid as
/// healthy. Observation: qpos without x, qvel held to +-10.
template <int version = 5>
struct Hopper : detail::MujocoWorld<Hopper<version>, 6, 6, 3, 5, false> {
    std::string model;  ///< the model's file or folder; empty: where ROARS_MUJOCO_MODELS says
    double forward_reward = 1.0;
    double control_cost = 1e-3;
    double healthy_reward = 1.0;
    double lowest_height = 0.7;  ///< m
    double largest_angle = 0.2;  ///< rad
    double largest_state = 100.0;
    double reset_noise = 5e-3;

    static constexpr int observation_size = 11;
    static constexpr const char* file = "hopper.xml";
    static constexpr int frames = 4;
    static constexpr bool normal_velocities = false;
    using State = typename Hopper::State;

    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        const double before = state.position[0], seconds = this->simulate(state, action);
        bool healthy = state.position[1] > lowest_height && std::abs(state.position[2]) < largest_angle;
        for (std::size_t i = 2; i < 6; ++i) healthy = healthy && std::abs(state.position[i]) < largest_state;
        for (double each : state.velocity) healthy = healthy && std::abs(each) < largest_state;
        const double paid = healthy || version == 4 ? healthy_reward : 0.0;
        return {forward_reward * (state.position[0] - before) / seconds + paid - this->cost_of(action), !healthy};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::observe_motion(state, 1, 10.0, to);
    }
};
template <int version>
ROARS_FIELDS_OF((Hopper<version>), model, forward_reward, control_cost, healthy_reward, lowest_height, largest_angle,
                largest_state, reset_noise)

/// Walker2d-v5 and -v4: as Hopper, with a range of heights and angles alone. v5's model has other feet.
template <int version = 5>
struct Walker2d : detail::MujocoWorld<Walker2d<version>, 9, 9, 6, 8, false> {
    std::string model;
    double forward_reward = 1.0;
    double control_cost = 1e-3;
    double healthy_reward = 1.0;
    double lowest_height = 0.8, highest_height = 2.0;  ///< m
    double largest_angle = 1.0;                        ///< rad
    double reset_noise = 5e-3;

    static constexpr int observation_size = 17;
    static constexpr const char* file = version == 4 ? "walker2d.xml" : "walker2d_v5.xml";
    static constexpr int frames = 4;
    static constexpr bool normal_velocities = false;
    using State = typename Walker2d::State;

    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        const double before = state.position[0], seconds = this->simulate(state, action);
        const bool healthy = state.position[1] > lowest_height && state.position[1] < highest_height &&
                             std::abs(state.position[2]) < largest_angle;
        const double paid = healthy || version == 4 ? healthy_reward : 0.0;
        return {forward_reward * (state.position[0] - before) / seconds + paid - this->cost_of(action), !healthy};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::observe_motion(state, 1, 10.0, to);
    }
};
template <int version>
ROARS_FIELDS_OF((Walker2d<version>), model, forward_reward, control_cost, healthy_reward, lowest_height, highest_height,
                largest_angle, reset_noise)

/// HalfCheetah-v5, which is -v4: reward = forward x' - control |a|^2; it never ends by itself. Observation: qpos
/// without x, qvel.
struct HalfCheetah : detail::MujocoWorld<HalfCheetah, 9, 9, 6, 8, false> {
    std::string model;
    double forward_reward = 1.0;
    double control_cost = 0.1;
    double reset_noise = 0.1;

    static constexpr int observation_size = 17;
    static constexpr const char* file = "half_cheetah.xml";
    static constexpr int frames = 5;
    static constexpr bool normal_velocities = true;

    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        const double before = state.position[0], seconds = simulate(state, action);
        return {forward_reward * (state.position[0] - before) / seconds - cost_of(action), false};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::observe_motion(state, 1, std::numeric_limits<double>::infinity(), to);
    }
};
ROARS_FIELDS(HalfCheetah, model, forward_reward, control_cost, reset_noise)

/// Ant-v5 and -v4: reward = forward x' of the torso + healthy - control |a|^2 - contact |f|^2, f the forces on the
/// bodies, each number held to +-force_limit; unhealthy, and the end, where the height is out of its range or a number
/// is not finite. v4 knows no forces and pays its last step as healthy. Observation: qpos without x and y, qvel, and in
/// v5 f without the world's.
template <int version = 5>
struct Ant : detail::MujocoWorld<Ant<version>, 15, 14, 8, 14, version == 5> {
    std::string model;
    double forward_reward = 1.0;
    double control_cost = 0.5;
    double contact_cost = 5e-4;
    double healthy_reward = 1.0;
    double lowest_height = 0.2, highest_height = 1.0;  ///< m
    double force_limit = 1.0;
    double reset_noise = 0.1;

    static constexpr int observation_size = version == 5 ? 105 : 27;
    static constexpr const char* file = "ant.xml";
    static constexpr int frames = 5;
    static constexpr bool normal_velocities = true;
    using State = typename Ant::State;

    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        const double before = state.torso_x, seconds = this->simulate(state, action);
        bool healthy = state.position[2] >= lowest_height && state.position[2] <= highest_height;
        for (double each : state.position) healthy = healthy && std::isfinite(each);
        for (double each : state.velocity) healthy = healthy && std::isfinite(each);
        const double paid = healthy || version == 4 ? healthy_reward : 0.0;
        double contact = 0;
        for (double each : state.contact_force) contact += math::square(std::clamp(each, -force_limit, force_limit));
        return {
            forward_reward * (state.torso_x - before) / seconds + paid - this->cost_of(action) - contact_cost * contact,
            !healthy};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        std::size_t k = detail::observe_motion(state, 2, std::numeric_limits<double>::infinity(), to);
        for (std::size_t i = 6; i < state.contact_force.size(); ++i)
            to[k++] = static_cast<Real>(std::clamp(state.contact_force[i], -force_limit, force_limit));
    }
};
template <int version>
ROARS_FIELDS_OF((Ant<version>), model, forward_reward, control_cost, contact_cost, healthy_reward, lowest_height,
                highest_height, force_limit, reset_noise)

static_assert(ContinuousEnvironment<Hopper<>> && ContinuousEnvironment<Walker2d<>> &&
              ContinuousEnvironment<HalfCheetah> && ContinuousEnvironment<Ant<>>);

}  // namespace roars::env

#endif
