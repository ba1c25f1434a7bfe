#include "python/errors.h"

#include <exception>

namespace octavo::python {

namespace {

const char* class_of(Code code) {
  switch (code) {
    case Code::invalid_input:
      return "InvalidInputError";
    case Code::unsupported:
      return "UnsupportedError";
    case Code::not_found:
      return "NotFoundError";
    case Code::io:
      return "IoError";
    case Code::out_of_memory:
      return "OutOfMemoryError";
    case Code::internal:
      break;
  }
  return "InternalError";
}

}  // namespace

nb::str text_of(const std::string& bytes) {
  PyObject* text =
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (text == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(text);
}

void translate_failures() {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Failure& failure) {
      const nb::object type =
          nb::module_::import_("octavo._errors").attr(class_of(failure.error.code));
      PyErr_SetObject(type.ptr(), text_of(failure.error.message).ptr());
    }
  });
}

}  // namespace octavo::python
