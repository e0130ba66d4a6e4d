#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/tensors.hpp"
#include "roars/error.hpp"
#include "roars/primitives/aligned.hpp"

namespace roars::actor {

/// One named tensor of a flat buffer: elements [offset, offset + size), row-major.
struct TensorEntry {
    std::string name;
    std::vector<std::int64_t> shape;
    std::int64_t offset;
    std::int64_t size;
};

/// What is trained: one flat buffer of values, one of gradients, and the table of the tensors in them. A step rule sees
/// two spans; a snapshot is a copy.
template <class Real>
class Parameters {
public:
    /// Appends a tensor of zeros. Returns its offset.
    std::int64_t add(std::string name, std::vector<std::int64_t> shape) {
        for (const TensorEntry& entry : tensors_)
            expect(entry.name != name, [&] { return "parameters: two tensors are named '" + name + "'"; });
        std::int64_t offset = size();
        std::int64_t count = 1;
        for (std::int64_t extent : shape) count *= extent;
        tensors_.push_back({std::move(name), std::move(shape), offset, count});
        values_.resize(static_cast<std::size_t>(offset + count), Real(0));
        gradients_.resize(static_cast<std::size_t>(offset + count), Real(0));
        return offset;
    }

    std::int64_t size() const { return static_cast<std::int64_t>(values_.size()); }
    std::span<Real> values() { return values_; }
    std::span<const Real> values() const { return values_; }
    std::span<Real> gradients() { return gradients_; }
    std::span<const Real> gradients() const { return gradients_; }
    const std::vector<TensorEntry>& tensors() const { return tensors_; }

    void zero_gradients() { gradients_.assign(gradients_.size(), Real(0)); }

    const TensorEntry& tensor(const std::string& name) const {
        for (const TensorEntry& entry : tensors_)
            if (entry.name == name) return entry;
        throw Error("parameters: no tensor is named '" + name + "'");
    }
    std::span<Real> values(const std::string& name) { return part(values(), tensor(name)); }
    std::span<const Real> values(const std::string& name) const { return part(values(), tensor(name)); }
    std::span<Real> gradients(const std::string& name) { return part(gradients(), tensor(name)); }

    /// Copies every tensor into `file`, under prefix + name.
    void write(Tensors& file, const std::string& prefix = "") const {
        for (const TensorEntry& entry : tensors_)
            file.put<Real>(prefix + entry.name, entry.shape, part(values(), entry));
    }
    /// Takes every tensor of the table from `file`; others in the file are left alone. Throws before it changes
    /// anything.
    void read(const Tensors& file, const std::string& prefix = "") {
        matrix::Aligned<Real> loaded(values_.size());
        for (const TensorEntry& entry : tensors_) {
            std::span<Real> target = part(std::span<Real>(loaded), entry);
            file.get<Real>(prefix + entry.name, entry.shape, target);
        }
        values_.swap(loaded);
    }

private:
    template <class Element>
    static std::span<Element> part(std::span<Element> all, const TensorEntry& entry) {
        return all.subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
    }

    std::vector<TensorEntry> tensors_;
    matrix::Aligned<Real> values_, gradients_;
};

}  // namespace roars::actor
