// Activations: Relu and its relatives, Sigmoid, Tanh, Gelu, Swish, Softplus, HardSigmoid, ...

#include <cmath>

#include "runtime/ops/families.h"
#include "runtime/ops/unary.h"

namespace octavo::ops {

namespace {

// f(x, alpha, beta) with the node's attributes, computed in float or double.
using Formula = double (*)(double x, double alpha, double beta);

class Activation final : public Op {
 public:
  Activation(Formula formula, double alpha, double beta)
      : formula_(formula), alpha_(alpha), beta_(beta) {}
  Status run(OpContext& context) const override {
    return dispatch(Floats{}, context.required(0).dtype(), [&]<class T>() -> Status {
      return unary<T, T>(context, kCostlyGrain, [this](auto x) {
        return static_cast<decltype(x)>(formula_(static_cast<double>(x), alpha_, beta_));
      });
    });
  }

 private:
  Formula formula_;
  double alpha_;
  double beta_;
};

class Relu final : public Op {
 public:
  Status run(OpContext& context) const override {
    return dispatch(SignedNumbers{}, context.required(0).dtype(), [&]<class T>() -> Status {
      return unary<T, T>(context, kCheapGrain, [](auto x) {
        return x < decltype(x){0} ? decltype(x){0} : x;  // NaN passes
      });
    });
  }
};

// Those with a kernel of their own; the formula serves float64.
class Fast final : public Op {
 public:
  Fast(kernels::UnaryF32 kernels::Table::*which, double (*formula)(double))
      : which_(which), formula_(formula) {}
  Status run(OpContext& context) const override {
    return unary_kernel(context, context.kernels().*which_, formula_);
  }

 private:
  kernels::UnaryF32 kernels::Table::*which_;
  double (*formula_)(double);
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double gelu(double x) { return 0.5 * x * (1 + std::erf(x * M_SQRT1_2)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

Result<std::unique_ptr<Op>> make_gelu(OpInit& init) {
  const std::string approximate = init.node().string_or("approximate", "none");
  if (approximate == "none") return make_op<Fast>(&kernels::Table::gelu_f32, gelu);
  if (approximate != "tanh")
    return Error{Code::invalid_input, "approximate is \"" + approximate + "\", not none or tanh"};
  return make_op<Activation>([](double x, double, double) { return gelu_tanh(x); }, 0, 0);
}

Result<std::unique_ptr<Op>> make_swish(OpInit& init) {
  const double alpha = init.node().float_or("alpha", 1);
  if (alpha == 1)
    return make_op<Fast>(&kernels::Table::silu_f32, [](double x) { return x * sigmoid(x); });
  return make_op<Activation>([](double x, double a, double) { return x * sigmoid(a * x); }, alpha,
                             0);
}

}  // namespace

void register_activation(Registry& registry) {
  const auto add = [&](const char* op_type, int64_t since, auto make) {
    registry.add(
        {.op_type = op_type, .since = since, .min_inputs = 1, .max_inputs = 1, .make = make});
  };
  using Made = Result<std::unique_ptr<Op>>;
  add("Relu", 6, [](OpInit&) -> Made { return make_op<Relu>(); });
  add("Sigmoid", 6,
      [](OpInit&) -> Made { return make_op<Fast>(&kernels::Table::sigmoid_f32, sigmoid); });
  add("Tanh", 6, [](OpInit&) -> Made {
    return make_op<Fast>(&kernels::Table::tanh_f32, [](double x) { return std::tanh(x); });
  });
  add("Gelu", 20, make_gelu);
  add("Swish", 24, make_swish);
  add("LeakyRelu", 6, [](OpInit& init) -> Made {
    return make_op<Activation>([](double x, double a, double) { return x < 0 ? a * x : x; },
                               init.node().float_or("alpha", 0.01F), 0);
  });
  add("ThresholdedRelu", 10, [](OpInit& init) -> Made {
    return make_op<Activation>([](double x, double a, double) { return x > a ? x : 0; },
                               init.node().float_or("alpha", 1), 0);
  });
  add("Elu", 6, [](OpInit& init) -> Made {
    return make_op<Activation>(
        [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; },
        init.node().float_or("alpha", 1), 0);
  });
  add("Celu", 12, [](OpInit& init) -> Made {
    return make_op<Activation>(
        [](double x, double a, double) {
          return std::fmax(0, x) + std::fmin(0, a * std::expm1(x / a));
        },
        init.node().float_or("alpha", 1), 0);
  });
  add("Selu", 6, [](OpInit& init) -> Made {
    return make_op<Activation>(
        [](double x, double a, double g) { return g * (x > 0 ? x : a * std::expm1(x)); },
        init.node().float_or("alpha", 1.67326319217681884765625F),
        init.node().float_or("gamma", 1.05070102214813232421875F));
  });
  add("HardSigmoid", 6, [](OpInit& init) -> Made {
    return make_op<Activation>(
        [](double x, double a, double b) { return std::fmax(0, std::fmin(1, a * x + b)); },
        init.node().float_or("alpha", 0.2F), init.node().float_or("beta", 0.5F));
  });
  add("HardSwish", 14, [](OpInit&) -> Made {
    return make_op<Activation>(
        [](double x, double, double) { return x * std::fmax(0, std::fmin(1, x / 6 + 0.5)); }, 0, 0);
  });
  add("Softplus", 1, [](OpInit&) -> Made {
    return make_op<Activation>([](double x, double, double) { return softplus(x); }, 0, 0);
  });
  add("Softsign", 1, [](OpInit&) -> Made {
    return make_op<Activation>([](double x, double, double) { return x / (1 + std::fabs(x)); }, 0,
                               0);
  });
  add("Mish", 18, [](OpInit&) -> Made {
    return make_op<Activation>([](double x, double, double) { return x * std::tanh(softplus(x)); },
                               0, 0);
  });
  add("Shrink", 9, [](OpInit& init) -> Made {
    return make_op<Activation>(
        [](double x, double lambd, double bias) {
          return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
        },
        init.node().float_or("lambd", 0.5F), init.node().float_or("bias", 0));
  });
}

}  // namespace octavo::ops
