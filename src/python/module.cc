#include "python/module.h"

#include "octavo/version.h"
#include "python/errors.h"

NB_MODULE(_core, module) {
  octavo::python::translate_failures();
  module.attr("version") = octavo::kVersion;
  octavo::python::add_embedder(module);
  octavo::python::add_reports(module);
  octavo::python::add_toolkit(module);
}
