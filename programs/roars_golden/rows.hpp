#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine.hpp"
#include "golden.hpp"

#include "roars/algorithm.hpp"
#include "roars/critic/rows.hpp"
#include "roars/optimizer/aggregate.hpp"

/// Inputs and outputs that are matrices.
namespace roars::golden {

/// A matrix of inputs in row-major order. A list of plain numbers has rows of one.
struct Table {
    std::vector<double> values;
    std::int64_t width = 1;

    Table() = default;
    Table(std::int64_t count, std::int64_t columns)
        : values(static_cast<std::size_t>(count * columns)), width(columns) {}
    Table(const Inputs& in, const std::string& name) {
        for (const Json& row : in.json().at(name)) {
            if (!row.is_array()) {
                values.push_back(number(row));
                continue;
            }
            width = std::ssize(row);
            for (const Json& value : row) values.push_back(number(value));
        }
    }
    std::int64_t count() const { return width > 0 ? std::ssize(values) / width : 0; }
    critic::Rows<const double> rows() const { return {values, width}; }
    critic::Rows<double> rows() { return {values, width}; }
};

template <class Values>
Json json_of_rows(const Values& values, std::int64_t width) {
    Json json = Json::array();
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i % static_cast<std::size_t>(width) == 0) json.push_back(Json::array());
        json.back().push_back(values[i]);
    }
    return json;
}
inline Json json_of(const Table& table) { return json_of_rows(table.values, table.width); }

/// Puts an input of rows into a wide column of a batch.
template <class BatchType, class Column>
void fill_rows(BatchType& batch, Column column, const Inputs& in, const std::string& name) {
    Table table(in, name);
    expect(table.count() == batch.count(column), [&] { return name + ": another number of rows than the batch has"; });
    batch.set_width(column, table.width);
    std::copy(table.values.begin(), table.values.end(), batch[column].begin());
}

template <class BatchType, class Column>
Json json_of_column(const BatchType& batch, Column column) {
    return json_of_rows(batch[column], batch.width(column));
}

/// A batch for row terms: as many transitions as the input `per_row` has, all of one sequence.
template <class... Term>
auto rows_of_transitions(const Inputs& in, const std::string& per_row) {
    using Set = unite_t<needs_of<Term>..., gives_of<Term>..., typename roars::detail::prepare_needs<Term>::type...>;
    using Gradients = decltype(roars::detail::gradients_of(unite_t<typename Term::differentiates...>{}));
    const std::vector<std::int64_t> offsets{0, std::ssize(in.json().at(per_row))};
    return Batch<double, unite_t<Set, Gradients>>(Offsets(offsets));
}

/// The terms' means over all rows, and their gradients in the batch.
template <class BatchType, class... Term>
auto mean_over_rows(BatchType& batch, const Term&... term) {
    return engine::terms(batch, aggregate::TokenMean{}, term...);
}

}  // namespace roars::golden
