#include "train_session.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>

#include "console.hpp"
#include "roars/actors/safetensors.hpp"

namespace roars::program {

void add_program(Programs& programs, std::string_view task, const std::vector<std::string_view>& methods,
                 const Program& program) {
    for (std::string_view method : methods) programs[task][method] = program;
}

std::string joined(std::initializer_list<std::pair<bool, std::string_view>> columns) {
    std::string text;
    for (const auto& [gradient, name] : columns) {
        if (!text.empty()) text += ' ';
        if (gradient) text += "grad_";
        text += name;
    }
    return text.empty() ? "-" : text;
}

TrainSession::TrainSession(const methods::Facts& facts, const Request& request, const Json& settings,
                           const RunSettings& run, Yardstick yardstick, const Cautions& cautions)
    : facts_(facts),
      request_(request),
      run_(run),
      folder_(request.out),
      asked_{{"method", facts.name}, {"task", request.task}, {"seed", request.seed}, {"settings", settings}},
      yardstick_(std::move(yardstick)) {
    for (const auto& [flag, words] : cautions)
        std::fprintf(stderr, "roars: caution: --%s: %.*s\n", flag.c_str(), int(words.size()), words.data());
}

int TrainSession::train() {
    begin();
    if (!phase("warm_start", run_.warm_start)) return stopped();
    if (!phase("train", run_.iterations)) return stopped();
    finish();
    return 0;
}

void TrainSession::begin() {
    folder_.create();
    bool there = folder_.has("checkpoint.safetensors");
    expect(there || !request_.resume, [&] { return request_.out + ": no checkpoint.safetensors to resume from"; });
    expect(!there || request_.resume,
           [&] { return request_.out + ": holds a run already, expected --resume or another --out"; });
    if (request_.resume) return restore();
    folder_.write("settings.json", asked_.dump(2) + "\n");
    folder_.write("metrics.jsonl", "");
    checkpoint();
}

/// Iterations of one phase from where it stands. False if the run was interrupted.
bool TrainSession::phase(const std::string& name, std::int64_t iterations) {
    if (name != phase_) {
        if (phase_ == "train") return true;  // resumed behind this phase
        phase_ = name;
        iteration_ = 0;
        begin_training();
    }
    ProgressBar bar(std::string(facts_.name) + " " + name, iterations, iteration_);
    auto show = [&](const std::string& note) {
        if (!request_.progress) return bar.show(iteration_, note);
        std::int64_t before = name == "train" ? run_.warm_start : 0;
        request_.progress(double(before + iteration_) / double(run_.warm_start + run_.iterations), note);
    };
    while (iteration_ < iterations) {
        auto start = std::chrono::steady_clock::now();
        Run run{host_, Random(request_.seed).at(std::uint32_t(iteration_)), Progress{iteration_, iterations}};
        train::Record record = name == "train" ? iterate(run) : warm_start(run);
        ++iteration_;
        double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        if (iteration_ % run_.evaluate_every == 0 || iteration_ == iterations) {
            evaluate(record);
            if (name == "train") evaluated(run, accuracy_);
        }
        std::string told;
        for (const auto& [key, value] : record)
            if (key == "outcome" || key == yardstick_.curve.score || key == "loss") {
                char part[64];
                std::snprintf(part, sizeof part, "%s %.3f  ", key.c_str(), value);
                told += part;
            }
        note(record, seconds);
        show(told);
        if (iteration_ % run_.checkpoint_every == 0 || iteration_ == iterations || interrupted) checkpoint();
        if (interrupted) return false;
    }
    return true;
}

/// What the policy is before the method's first iteration.
void TrainSession::begin_training() {
    set_reference();
    train::Record record;
    evaluate(record);
    accuracy_before_ = accuracy_;
    note(record, 0.0);
    checkpoint();
}

void TrainSession::evaluate(train::Record& record) {
    Run run{host_, Random(request_.seed)};
    accuracy_ = yardstick_.measure(run, record);
}

void TrainSession::note(const train::Record& record, double seconds) {
    Json line{{"phase", phase_}, {"iteration", iteration_}, {"step", step_++}, {"seconds", seconds}};
    for (const auto& [name, value] : record) line[name] = value;
    folder_.append_line("metrics.jsonl", line.dump());
}

void TrainSession::checkpoint() {
    SafeTensors file;
    write(file);
    Json where{{"phase", phase_},
               {"iteration", iteration_},
               {"step", step_},
               {"accuracy", accuracy_},
               {"accuracy_before", accuracy_before_}};
    file.metadata["run"] = where.dump();
    file.save(folder_.file("checkpoint.safetensors"));
}

void TrainSession::restore() {
    std::ifstream stream(folder_.file("settings.json"));
    Json saved = Json::parse(stream, nullptr, false);
    expect(!saved.is_discarded(), [&] { return folder_.file("settings.json") + ": is not JSON"; });
    const Json before = saved.flatten(), now = asked_.flatten();
    for (const auto& [path, value] : before.items()) {
        if (path == "/settings/run/iterations") continue;  // a run may be made longer
        auto found = now.find(path);
        expect(found != now.end() && *found == value, [&, &key = path, &was = value] {
            return request_.out + ": was begun with " + key + " = " + was.dump() + ", expected the same to resume";
        });
    }
    auto file = SafeTensors::load(folder_.file("checkpoint.safetensors"));
    read(file);
    Json where = Json::parse(file.metadata.at("run"));
    phase_ = where.at("phase");
    iteration_ = where.at("iteration");
    step_ = where.at("step");
    accuracy_ = where.at("accuracy");
    accuracy_before_ = where.at("accuracy_before");
    folder_.keep_metrics(step_);
}

int TrainSession::stopped() const {
    if (request_.progress) return 130;
    std::fprintf(stderr, "\nstopped in %s at iteration %lld; go on with --resume --out %s\n", phase_.c_str(),
                 static_cast<long long>(iteration_), request_.out.c_str());
    return 130;
}

void TrainSession::finish() {
    auto metrics = folder_.keep_metrics(step_);
    double seconds = 0;
    for (const Json& line : metrics) seconds += line.value("phase", "") == "train" ? line.value("seconds", 0.0) : 0.0;
    const CurveOf& curve = yardstick_.curve;
    Json summary{{"method", facts_.name},
                 {"task", request_.task},
                 {"seed", request_.seed},
                 {"score", curve.score},
                 {"axis", curve.axis},
                 {"share", curve.share},
                 {curve.score + "_before", accuracy_before_},
                 {curve.score + "_after", accuracy_},
                 {"train_seconds", seconds},
                 {"iterations", run_.iterations}};
    std::string costs;
    for (const auto& [what, count] : spent()) {
        summary[what] = count;
        costs += ", " + std::to_string(count) + " " + what;
    }
    folder_.write("summary.json", summary.dump(2) + "\n");
    if (request_.progress) return;
    std::string title = std::string(facts_.name) + " on " + request_.task + ", seed " + std::to_string(request_.seed);
    if (!draw_curve(metrics, title, yardstick_.legend, folder_.file("curve.svg"), curve))
        std::fprintf(stderr, "no learning-curve picture: gnuplot was not found (Debian: gnuplot-nox)\n");
    const double unit = curve.share ? 100 : 1;
    const char* sign = curve.share ? " %" : "";
    std::printf("%s on %s: %s %.1f%s -> %.1f%s, %.0f s of training%s\n", std::string(facts_.name).c_str(),
                request_.task.c_str(), yardstick_.name.c_str(), unit * accuracy_before_, sign, unit * accuracy_, sign,
                seconds, costs.c_str());
    std::printf("%s\n", request_.out.c_str());
}

}  // namespace roars::program
