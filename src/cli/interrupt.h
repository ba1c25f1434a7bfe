#pragma once
// Ctrl-C, SIGTERM and SIGHUP: what is unfinished is removed, then the signal ends the program as it
// would have without us.

namespace octavo::cli {

// Call before the first thread is made: threads inherit that these signals are not theirs.
void clean_up_when_interrupted();

}  // namespace octavo::cli
