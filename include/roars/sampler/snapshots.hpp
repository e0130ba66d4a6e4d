#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/k_means.hpp"
#include "roars/primitives/segments.hpp"

/// Episodes that start from states of a teacher's episodes. What a state is, the task knows: here it is a row of a
/// store of whole simulator states. Source: SnapshotRL, arXiv 2403.00673.
namespace roars::sampler {

/// Which states of a teacher's episodes are kept: those before the steps 0, save_every, 2 save_every, ... of each of
/// the `best_episodes` episodes of highest return (of equal ones the earlier), best episode first. An episode without a
/// step is not among them. Row t of an episode is the state before its t-th action.
struct SnapshotRows {
    std::int64_t save_every = 10;
    std::int64_t best_episodes = 10;

    /// Shapes: episode_return [episodes].
    std::vector<std::int64_t> of(Offsets episodes, std::span<const double> episode_return) const {
        expect(save_every >= 1,
               [&] { return "snapshots: save_every is " + std::to_string(save_every) + ", expected 1 or more"; });
        roars::detail::expect_size("episode_return", episode_return.size(), segment_count(episodes));
        std::vector<std::size_t> order;
        for (std::size_t e = 0; e < episode_return.size(); ++e)
            if (episodes[e + 1] > episodes[e]) order.push_back(e);
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return episode_return[a] > episode_return[b]; });
        order.resize(std::min(order.size(), static_cast<std::size_t>(std::max<std::int64_t>(best_episodes, 0))));
        std::vector<std::int64_t> rows;
        for (std::size_t e : order)
            for (std::int64_t t = episodes[e]; t < episodes[e + 1]; t += save_every) rows.push_back(t);
        return rows;
    }
};
ROARS_FIELDS(SnapshotRows, save_every, best_episodes)

/// Snapshots sorted into clusters, none of them empty, the largest first, of equal ones that of the lower label.
class ClusteredSnapshots {
public:
    ClusteredSnapshots() = default;
    explicit ClusteredSnapshots(std::span<const std::int64_t> label) {
        std::int64_t labels = label.empty() ? 0 : *std::max_element(label.begin(), label.end()) + 1;
        members_.resize(static_cast<std::size_t>(labels));
        for (std::size_t i = 0; i < label.size(); ++i)
            members_[static_cast<std::size_t>(label[i])].push_back(static_cast<std::int64_t>(i));
        std::erase_if(members_, [](const auto& one) { return one.empty(); });
        std::stable_sort(members_.begin(), members_.end(),
                         [](const auto& a, const auto& b) { return a.size() > b.size(); });
    }
    const std::vector<std::vector<std::int64_t>>& members() const { return members_; }

    /// A cluster uniformly, then a snapshot of it uniformly; two numbers in [0, 1). Errors: there is no snapshot.
    std::int64_t draw(double cluster, double member) const {
        expect(!members_.empty(), "snapshots: the store is empty, expected a snapshot or more");
        const auto& chosen = members_[place(cluster, members_.size())];
        return chosen[place(member, chosen.size())];
    }

private:
    static std::size_t place(double u, std::size_t count) {
        return std::min(static_cast<std::size_t>(u * double(count)), count - 1);
    }
    std::vector<std::vector<std::int64_t>> members_;
};

/// Status classification: snapshots with a like value for the teacher are one situation, and rare situations are drawn
/// as often as common ones.
struct ByValue {
    std::int64_t clusters = 6;
    std::int64_t max_iterations = 100;

    ClusteredSnapshots sorted(std::span<const double> value) const {
        return ClusteredSnapshots(k_means(value, clusters, max_iterations).label);
    }
};
/// No classification: one cluster, every snapshot the same chance.
struct AllAlike {
    ClusteredSnapshots sorted(std::span<const double> value) const {
        return ClusteredSnapshots(std::vector<std::int64_t>(value.size()));
    }
};
ROARS_FIELDS(ByValue, clusters, max_iterations)
ROARS_FIELDS(AllAlike)

/// When an episode of a long run ends and where the next one begins. While step < snapshot_steps an episode begins at a
/// snapshot and is truncated after `truncate` steps; from then on at the environment's own start, after `horizon`
/// steps. A snapshot episode that still runs at step snapshot_steps is abandoned: truncated on its last step. A
/// truncation is no termination: targets look beyond it.
struct SnapshotPhases {
    std::int64_t snapshot_steps = 100000;
    std::int64_t truncate = 100;
    std::int64_t horizon = 1000;

    /// Whether an episode that begins at this step of the run begins at a snapshot.
    bool from_snapshot(std::int64_t step) const { return step < snapshot_steps; }
    /// Whether step `step` of the run, the `length`-th of its episode (from 1), cuts an episode of that kind, unless
    /// the environment ends it there.
    bool cuts(std::int64_t step, std::int64_t length, bool snapshot) const {
        return length >= (snapshot ? truncate : horizon) || (snapshot && step + 1 == snapshot_steps);
    }

    struct Plan {
        std::vector<char> snapshot, reset, truncated;
    };
    /// The plan of a run whose environment says where it terminates. Shapes: terminated [steps]. Errors: a limit
    /// below 1.
    template <class Real>
    Plan plan(std::span<const Real> terminated) const {
        check();
        Plan found;
        bool snapshot = false, begins = true;
        std::int64_t length = 0;
        for (std::int64_t step = 0; step < std::ssize(terminated); ++step) {
            if (begins) snapshot = from_snapshot(step), length = 0;
            found.snapshot.push_back(snapshot);
            found.reset.push_back(begins);
            bool ends = terminated[static_cast<std::size_t>(step)] != Real(0);
            bool cut = !ends && cuts(step, ++length, snapshot);
            found.truncated.push_back(cut);
            begins = ends || cut;
        }
        return found;
    }
    void check() const {
        expect(truncate >= 1 && horizon >= 1, [&] {
            return "snapshots: truncate is " + std::to_string(truncate) + " and horizon " + std::to_string(horizon) +
                   ", expected 1 or more";
        });
    }
};
ROARS_FIELDS(SnapshotPhases, snapshot_steps, truncate, horizon)

}  // namespace roars::sampler
