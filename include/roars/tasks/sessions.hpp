#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/lock.hpp"

namespace roars::tasks {

struct SessionsSettings {
    std::int64_t users = 10;  ///< types of users
    std::int64_t items = 20;
    double changes = 0.2;       ///< the next step is another user's, any one's, with this probability
    double ends = 0.1;          ///< probability that a session ends behind a step
    std::int64_t rows = 20000;  ///< of the log
};
ROARS_FIELDS(SessionsSettings, users, items, changes, ends, rows)

/// A recommender's sessions, of which there is a log: every step shows an item to a user and brings several responses
/// at once, a row of numbers: seconds watched (dense), click, like, comment (sparse), and hate, which enters negated.
/// State: the type of user. The log was drawn by another policy, a softmax of normal logits. A problem of a seed.
class Sessions {
public:
    static constexpr std::int64_t responses = 5;
    static constexpr std::array<std::string_view, 5> names{"watch", "click", "like", "comment", "hate"};

    explicit Sessions(const SessionsSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        expect(settings.users > 0 && settings.items > 0 && settings.rows > 0 && settings.changes >= 0 &&
                   settings.changes <= 1 && settings.ends >= 0 && settings.ends <= 1,
               "sessions: users, items and rows are 1 or more, changes and ends are probabilities");
        RandomStream random{Random(seed, Purpose::task)};
        const auto cells = static_cast<std::size_t>(settings.users * settings.items),
                   items = static_cast<std::size_t>(settings.items);
        mean_.resize(cells * responses);
        behaviour_.resize(cells);
        for (std::size_t c = 0; c < cells; ++c) at(c, 0) = gamma(random, 4, 0.25);
        for (std::size_t first = 0; first < cells; first += items) {
            double usual = 0, sum = 0;
            for (std::size_t c = first; c < first + items; ++c) usual += at(c, 0) / double(items);
            for (std::size_t c = first; c < first + items; ++c) {
                const bool dull = at(c, 0) < usual;
                at(c, 1) = 0.05 + 0.3 * random.uniform();
                at(c, 2) = std::min(0.3, 0.02 * gamma(random, 1, 1.0) + (dull ? 0.01 : 0.0));
                at(c, 3) = std::min(0.1, 0.005 * gamma(random, 1, 1.0));
                at(c, 4) = -std::min(0.1, 0.005 * gamma(random, 1, 1.0) * (dull ? 1.0 : 2.0));
                sum += behaviour_[c] = std::exp(0.5 * random.normal());
            }
            for (std::size_t c = first; c < first + items; ++c) behaviour_[c] /= sum;
        }
        write_log(random);
    }

    /// One step of the log.
    struct Row {
        std::int32_t user, item, next_user;
        bool terminated;
        std::array<float, 5> response;
        double logp;  ///< of the policy that drew the item
    };

    const SessionsSettings& settings() const { return settings_; }
    const std::vector<Row>& log() const { return log_; }
    std::span<const double> behaviour() const { return behaviour_; }
    /// What a step brings in the mean, by response, under a policy of which `probability(user)` is a row of all items'.
    template <class Probability>
    std::array<double, 5> worth(Probability&& probability) const {
        std::array<double, 5> mean{};
        for (std::int64_t u = 0; u < settings_.users; ++u) {
            auto policy = probability(u);
            for (std::size_t i = 0; i < static_cast<std::size_t>(settings_.items); ++i)
                for (std::size_t m = 0; m < mean.size(); ++m)
                    mean[m] += double(policy[i]) *
                               mean_[(static_cast<std::size_t>(u * settings_.items) + i) * responses + m] /
                               double(settings_.users);
        }
        return mean;
    }

private:
    double& at(std::size_t cell, std::size_t response) { return mean_[cell * responses + response]; }
    /// Of a whole shape: a sum of exponentials.
    static double gamma(RandomStream& random, int shape, double scale) {
        double sum = 0;
        for (int i = 0; i < shape; ++i) sum -= std::log(1.0 - random.uniform());
        return scale * sum;
    }
    void write_log(RandomStream& random) {
        std::int64_t user = random.below(settings_.users);
        for (std::int64_t k = 0; k < settings_.rows; ++k) {
            const auto first = static_cast<std::size_t>(user * settings_.items);
            const auto item = static_cast<std::size_t>(Lock::draw(
                std::span(behaviour_).subspan(first, static_cast<std::size_t>(settings_.items)), random.uniform()));
            Row row{static_cast<std::int32_t>(user),
                    static_cast<std::int32_t>(item),
                    0,
                    random.uniform() < settings_.ends,
                    {},
                    std::log(behaviour_[first + item])};
            row.response[0] = float(at(first + item, 0) * gamma(random, 2, 0.5));
            for (std::size_t m = 1; m < row.response.size(); ++m) {
                const double chance = at(first + item, m);
                row.response[m] = random.uniform() < std::abs(chance) ? (chance < 0 ? -1.0f : 1.0f) : 0.0f;
            }
            if (row.terminated || random.uniform() < settings_.changes) user = random.below(settings_.users);
            row.next_user = static_cast<std::int32_t>(user);
            log_.push_back(row);
        }
    }

    SessionsSettings settings_;
    std::vector<double> mean_;       ///< [users, items, responses]
    std::vector<double> behaviour_;  ///< [users, items]
    std::vector<Row> log_;
};

}  // namespace roars::tasks
