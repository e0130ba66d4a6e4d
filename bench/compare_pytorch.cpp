/// The library's side of compare_pytorch.py. Usage: bench_compare_pytorch FOLDER, a folder with columns as raw numbers;
/// then, a line at a time on the standard input, `CASE REPETITIONS`: answers with the shortest time in seconds and
/// leaves what the case computed in FOLDER/CASE.out.
#include "measure.hpp"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "roars/advantage/gae.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/objective_logits.hpp"

namespace {

using namespace roars;

class Folder {
public:
    explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}

    template <class T>
    std::vector<T> read(const std::string& name) const {
        std::vector<T> values(std::filesystem::file_size(path_ / name) / sizeof(T));
        std::ifstream file(path_ / name, std::ios::binary);
        file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
        expect(file.good(), [&] { return (path_ / name).string() + ": cannot be read"; });
        return values;
    }
    template <class Column, class BatchType>
    void read(Column column, BatchType& batch, const std::string& prefix) const {
        auto values = read<value_of<Column, float>>(prefix + "." + std::string(Column::name));
        detail::expect_size(Column::name.data(), values.size(), batch.count(column));
        std::copy(values.begin(), values.end(), batch[column].begin());
    }
    template <class... Column, class BatchType>
    void read_all(columns<Column...>, BatchType& batch, const std::string& prefix) const {
        (read(Column{}, batch, prefix), ...);
    }
    template <class... Span>
    void write(const std::string& name, const Span&... values) const {
        std::ofstream file(path_ / (name + ".out"), std::ios::binary);
        (file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes())),
         ...);
    }
    std::vector<std::int64_t> offsets(const std::string& name) const { return read<std::int64_t>(name); }

private:
    std::filesystem::path path_;
};

backend::Host host;

/// Runs a case some times, returns the shortest time.
using Case = std::function<double(int)>;

double shortest(
    int repetitions, const std::function<void()>& work, const std::function<void()>& prepare = [] {}) {
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < repetitions; ++i) {
        prepare();
        best = std::min(best, bench::seconds(work));
    }
    return best;
}

/// Clip + k3 with TokenMean: counts, loss, gradient, metrics.
Case token_objective(const Folder& folder) {
    using Inputs = columns<col::logp, col::logp_old, col::logp_ref, col::advantage, col::mask>;
    auto batch = std::make_shared<Batch<float, unite_t<Inputs, columns<col::grad<col::logp>>>>>(
        folder.offsets("token_objective.offsets"));
    folder.read_all(Inputs{}, *batch, "token_objective");
    return [=](int repetitions) {
        std::array<float, 6> numbers{};
        double time = shortest(repetitions, [&] {
            Counts counts = count(host, *batch);
            auto result = evaluate(host, *batch, std::array{counts, counts},
                                   Weighed{surrogate::Clip{.low = 0.2, .high = 0.28}, aggregate::TokenMean{}},
                                   Weighed{regularizer::Kl<kl::K3>{.coefficient = 0.04}, aggregate::TokenMean{}});
            std::size_t i = 0;
            numbers[i++] = static_cast<float>(result.loss());
            for (const char* metric : {"ratio", "clip_fraction", "approx_kl", "kl"})
                numbers[i++] = static_cast<float>(result.metric(metric));
        });
        folder.write("token_objective", std::span(numbers).first(5), batch->operator[](col::grad<col::logp>{}));
        return time;
    };
}

Case gae(const Folder& folder) {
    using Part = advantage::Gae<>;
    auto batch = std::make_shared<Batch<float, unite_t<needs_of<Part>, gives_of<Part>>>>(folder.offsets("gae.offsets"));
    folder.read_all(needs_of<Part>{}, *batch, "gae");
    return [=](int repetitions) {
        Run run{host};
        Part part{.gamma = 0.99, .lambda = 0.95};
        double time = shortest(repetitions, [&] { part.estimate(run, *batch); });
        folder.write("gae", (*batch)[col::advantage{}], (*batch)[col::returns{}]);
        return time;
    };
}

Case group_z_score(const Folder& folder) {
    using Part = advantage::GroupZScore;
    auto batch = std::make_shared<Batch<float, unite_t<needs_of<Part>, gives_of<Part>>>>(
        folder.offsets("group_z_score.offsets"), folder.offsets("group_z_score.groups"));
    folder.read(col::reward{}, *batch, "group_z_score");
    return [=](int repetitions) {
        Run run{host};
        Part part{};
        double time = shortest(repetitions, [&] { part.estimate(run, *batch); });
        folder.write("group_z_score", (*batch)[col::advantage{}]);
        return time;
    };
}

/// DAPO's clipped surrogate from logits: loss, and the gradient in the logits' place.
Case from_logits(const Folder& folder, const std::string& name) {
    using Method = methods::Dapo;
    using Inputs = columns<col::token, col::logp_old, col::advantage, col::mask>;
    auto batch = std::make_shared<Batch<float, unite_t<Method::Columns, columns<col::token>>>>(
        folder.offsets(name + ".offsets"));
    folder.read_all(Inputs{}, *batch, name);
    auto original = std::make_shared<std::vector<float>>(folder.read<float>(name + ".logits"));
    return [=](int repetitions) {
        Run run{host};
        Method::State state;
        auto logits = *original;
        auto vocabulary = static_cast<std::int64_t>(logits.size()) / batch->tokens();
        std::array<float, 1> loss{};
        double time = shortest(
            repetitions,
            [&] {
                auto totals = methods::dapo.totals(run, state, *batch);
                loss[0] = static_cast<float>(
                    objective_from_logits(methods::dapo, run, state, *batch, totals, std::span(logits), vocabulary)
                        .loss());
            },
            [&] { logits = *original; });
        folder.write(name, std::span(loss), std::span(logits));
        return time;
    };
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "Usage: " << argv[0] << " FOLDER\n";
        return 2;
    }
    try {
        Folder folder(argv[1]);
        std::map<std::string, Case> cases{{"token_objective", token_objective(folder)},
                                          {"gae", gae(folder)},
                                          {"group_z_score", group_z_score(folder)},
                                          {"logits_32000", from_logits(folder, "logits_32000")},
                                          {"logits_151936", from_logits(folder, "logits_151936")}};
        std::string name;
        for (int repetitions; std::cin >> name >> repetitions;) {
            auto found = cases.find(name);
            expect(found != cases.end(), [&] { return "no case is called " + name; });
            std::cout << found->second(repetitions) << std::endl;
        }
    } catch (const Error& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
