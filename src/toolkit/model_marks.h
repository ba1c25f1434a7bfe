#pragma once
// What Octavo writes into a model so that whoever finds the file knows where it came from.

namespace octavo {

inline constexpr const char* kProducer = "octavo";  // producer_name of an import
// Key of the metadata of a smoothed model; its value names what the factors are for, as
// `octavo smooth --factors` does.
inline constexpr const char* kSmoothedKey = "octavo.smoothed";

}  // namespace octavo
