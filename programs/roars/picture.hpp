#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace roars::program {

/// What a learning curve shows: a column of the metrics that is measured, one that falls off in training, the axis.
struct CurveOf {
    std::string score = "accuracy", trained = "outcome";
    std::string axis = "share of right answers";
    bool share = true;  ///< of [0, 1]
};

/// Draws the learning curve (the score, named by `legend`, and what the rollouts gave, over iterations) as SVG with
/// gnuplot. False if gnuplot is not there.
inline bool draw_curve(const std::vector<nlohmann::json>& metrics, const std::string& title, const std::string& legend,
                       const std::string& file, const CurveOf& curve) {
    std::FILE* gnuplot = popen("gnuplot 2>/dev/null", "w");
    if (!gnuplot) return false;
    std::string data[2];
    const std::string column[2] = {curve.score, curve.trained};
    for (const auto& line : metrics)
        for (int k = 0; k < 2; ++k)
            if (line.value("phase", "") == "train" && line.contains(column[k]))
                data[k] += line["iteration"].dump() + " " + line[column[k]].dump() + "\n";
    std::fprintf(gnuplot,
                 "set terminal svg size 720,420 enhanced background rgb 'white' font 'sans,13'\n"
                 "set output '%s'\nset title '%s' noenhanced\nset xlabel 'iteration'\nset ylabel '%s'\n%s"
                 "set grid\nset key bottom right\n"
                 "$accuracy << EOD\n%sEOD\n$rollouts << EOD\n%sEOD\n",
                 file.c_str(), title.c_str(), curve.axis.c_str(), curve.share ? "set yrange [0:1]\n" : "",
                 data[0].c_str(), data[1].c_str());
    std::string plots;
    if (!data[0].empty()) plots += "$accuracy with linespoints lw 2 pt 7 ps 0.6 title '" + legend + "'";
    if (!data[1].empty()) plots += std::string(plots.empty() ? "" : ", ") + "$rollouts with lines title 'rollouts'";
    std::fprintf(gnuplot, "plot %s\n", plots.empty() ? "0 notitle" : plots.c_str());
    return pclose(gnuplot) == 0;
}

/// A curve with the band of its interval: rows of iteration, mean, low, high.
struct Band {
    std::string name;
    std::string rows;
};

/// Draws several curves of a score over iterations, or whatever `x` says, with their bands. False if gnuplot is not
/// there.
inline bool draw_bands(const std::vector<Band>& bands, const std::string& title, const std::string& file,
                       const std::string& x, const CurveOf& curve) {
    std::FILE* gnuplot = popen("gnuplot 2>/dev/null", "w");
    if (!gnuplot) return false;
    std::fprintf(gnuplot,
                 "set terminal svg size 760,460 enhanced background rgb 'white' font 'sans,13'\n"
                 "set output '%s'\nset title '%s' noenhanced\nset xlabel '%s'\nset ylabel '%s'\n%s"
                 "set grid\nset key outside right top noenhanced\nset style fill transparent solid 0.18 "
                 "noborder\n",
                 file.c_str(), title.c_str(), x.c_str(), curve.axis.c_str(), curve.share ? "set yrange [0:1]\n" : "");
    std::string plots;
    for (std::size_t k = 0; k < bands.size(); ++k) {
        const std::string data = "$band" + std::to_string(k), color = " lc " + std::to_string(k + 1);
        std::fprintf(gnuplot, "%s << EOD\n%sEOD\n", data.c_str(), bands[k].rows.c_str());
        plots += (k ? ", " : "") + data + " using 1:3:4 with filledcurves" + color + " notitle, " + data +
                 " using 1:2 with lines lw 2" + color + " title '" + bands[k].name + "'";
    }
    std::fprintf(gnuplot, "plot %s\n", plots.empty() ? "0 notitle" : plots.c_str());
    return pclose(gnuplot) == 0;
}

}  // namespace roars::program
