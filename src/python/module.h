#pragma once
// The extension octavo._core: what src/python/octavo/*.py is written on, not what its users see.
// Its types are in src/python/octavo/_core.pyi.

#include <nanobind/nanobind.h>

namespace octavo::python {

void add_embedder(nanobind::module_& module);
void add_toolkit(nanobind::module_& module);
void add_reports(nanobind::module_& module);

}  // namespace octavo::python
