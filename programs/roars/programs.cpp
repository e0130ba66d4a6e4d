#include <cstddef>
#include <utility>

#include "session.hpp"

namespace roars::program {

Programs all_programs() {
    Programs programs;
    add_baselines(programs);
    add_sequence_methods(programs);
    add_weight_methods(programs);
    add_critic_methods(programs);
    add_group_methods(programs);
    add_data_methods(programs);
    add_replay_methods(programs);
    add_base_policy_methods(programs);
    add_action_value_methods(programs);
    add_rollout_methods(programs);
    add_offline_methods(programs);
    add_data_constraint_methods(programs);
    add_zero_shot_methods(programs);
    add_behaviour_model_methods(programs);
    add_sequence_models(programs);
    add_session_methods(programs);
    [&]<std::size_t... part>(std::index_sequence<part...>) { (add_tabular<part>(programs), ...); }
    (std::make_index_sequence<tabular_parts>{});
    return programs;
}

}  // namespace roars::program
