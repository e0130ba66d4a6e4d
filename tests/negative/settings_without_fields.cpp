// expect: a setting's type lists no fields: ROARS_FIELDS is missing
#include "roars/reflect.hpp"

namespace ours {
struct Bonus {
    double size = 1.0;
};
struct Reward {
    Bonus bonus{};
};
ROARS_FIELDS(Reward, bonus)
}  // namespace ours

bool set(ours::Reward& reward) { return roars::set_setting(reward, "bonus.size", "2"); }
