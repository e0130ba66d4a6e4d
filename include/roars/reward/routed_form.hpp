#pragma once

#include <cstdint>
#include <span>

#include "roars/config.hpp"

namespace roars::reward {

/// What a block of a rollout that asks other models is: a thought, a question to one of them, what it said, the answer,
/// or text between the blocks.
enum class BlockKind : std::int32_t { think, route, information, answer, text };

/// A block as it was read.
struct RoutedBlock {
    BlockKind kind = BlockKind::text;
    bool closed = true;
    bool nested = false;  ///< holds another block's tag
    bool empty = false;
    bool valid_model = true;  ///< of a route: the model is in the pool
    bool valid_query = true;  ///< of a route: a real question, not the template's words
};

/// A verdict for col::format: every block is closed and none nested; a think block comes first and none is empty; one
/// answer, which ends the text; as many routes as informations, each to a model of the pool and with a real question.
/// Text between the blocks is allowed, and so is any order of routes and informations. Source: the code of Router-R1,
/// arXiv 2506.09033.
inline bool well_formed(std::span<const RoutedBlock> blocks) {
    if (blocks.empty() || blocks.front().kind != BlockKind::think || blocks.back().kind != BlockKind::answer)
        return false;
    std::int64_t answers = 0, unanswered = 0;
    for (const RoutedBlock& block : blocks) {
        if (!block.closed || block.nested) return false;
        if (block.kind == BlockKind::think && block.empty) return false;
        if (block.kind == BlockKind::route && !(block.valid_model && block.valid_query)) return false;
        answers += block.kind == BlockKind::answer;
        unanswered += (block.kind == BlockKind::route) - (block.kind == BlockKind::information);
    }
    return answers == 1 && unanswered == 0;
}

}  // namespace roars::reward
