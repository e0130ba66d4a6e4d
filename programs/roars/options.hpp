#pragma once

namespace roars::program {

/// Prints, for each named option of other libraries, which part of this one it is; as a page of the documentation, or
/// as lines of peer, option and part.
void print_options(bool markdown);

}  // namespace roars::program
