#pragma once

#include "roars/methods/sac.hpp"
#include "roars/methods/td3.hpp"
#include "roars/sampler/from_snapshots.hpp"

namespace roars::methods {

/// SnapshotRL (S3RL, arXiv 2403.00673): episodes begin at states of a teacher's for a while. The sampler is its own,
/// everything else that of the host: TD3 or SAC here.
template <class Host>
using FromSnapshots =
    Algorithm<sampler::FromSnapshots<typename Host::Sampler>,  // starts at a teacher's states, cut
                                                               // early, spread over their value
              typename Host::Reward, typename Host::Advantage, typename Host::Regularizer, typename Host::Optimizer>;
template <class Host>
constexpr FromSnapshots<Host> from_snapshots(const Host& host) {
    return {{.base = host.sampler}, host.reward, host.advantage, host.regularizer, host.optimizer};
}
using SnapshotTwinDelayed = FromSnapshots<TwinDelayed>;
using SnapshotSoftActorCritic = FromSnapshots<SoftActorCritic>;

inline constexpr SnapshotTwinDelayed snapshot_td3 = from_snapshots(td3);
inline constexpr SnapshotSoftActorCritic snapshot_sac = from_snapshots(sac);

}  // namespace roars::methods
