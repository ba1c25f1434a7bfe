#pragma once
// The header of an .npy file, which the members of an .npz carry too.

#include <cstddef>
#include <string>

#include "base/result.h"
#include "tensor/shape.h"

namespace octavo {

// Magic, version and the padded dict, byte for byte as numpy.save writes it. Its size does not
// depend on the first dimension (numpy leaves room for 21 digits), so rows can be appended in
// place. Errors: a type that numpy has not.
Result<std::string> npy_header(DType dtype, const Shape& shape);

}  // namespace octavo
