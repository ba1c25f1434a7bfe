#include "toolkit/calibration_texts.h"

namespace octavo::calibration {

namespace {

constexpr std::string_view kTexts[] = {
    R"code(def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2)code",
    R"code(for (size_t i = 0; i < rows; ++i) {
  const float* row = matrix + i * stride;
  sums[i] = std::accumulate(row, row + columns, 0.0f);
})code",
    R"code(SELECT c.name, COUNT(*) AS orders, SUM(o.total) AS revenue
FROM customers c JOIN orders o ON o.customer_id = c.id
WHERE o.created_at >= '2023-01-01'
GROUP BY c.name HAVING COUNT(*) > 5
ORDER BY revenue DESC LIMIT 20;)code",
    R"code(const debounce = (fn, ms) => { let t; return (...args) => { clearTimeout(t); t = setTimeout(() => fn(...args), ms); }; };)code",
    R"code(fn parse(line: &str) -> Result<(String, u32), Error> {
    let (key, value) = line.split_once('=').ok_or(Error::MissingEquals)?;
    Ok((key.trim().to_owned(), value.trim().parse()?))
})code",
    R"code(func (s *Store) Get(ctx context.Context, id int64) (*Item, error) {
	row := s.db.QueryRowContext(ctx, "select title, price from items where id = $1", id)
	var it Item
	if err := row.Scan(&it.Title, &it.Price); err != nil {
		return nil, fmt.Errorf("get item %d: %w", id, err)
	}
	return &it, nil
})code",
    R"code(public record Point(double x, double y) {
    public double distanceTo(Point other) { return Math.hypot(x - other.x, y - other.y); }
})code",
    R"code(#!/bin/sh
set -eu
for file in "$@"; do
  [ -f "$file" ] || { echo "no such file: $file" >&2; exit 1; }
  gzip -9 -k -- "$file" && sha256sum "$file.gz" >> checksums.txt
done)code",
    R"code({"id": 4711, "tags": ["garden", "tools"], "price": {"amount": 24.5, "currency": "CHF"}, "in_stock": true, "rating": null})code",
    R"code(services:
  web:
    image: registry.example.org/shop:1.14
    ports: ["8080:80"]
    environment:
      LOG_LEVEL: info
    depends_on: [database])code",
    R"code(<form action="/search" method="get"><label for="q">Search</label><input id="q" name="q" type="search" required><button>Go</button></form>)code",
    R"code(.card { display: grid; gap: 1rem; padding: 1.5rem; border-radius: 8px; box-shadow: 0 1px 3px rgb(0 0 0 / 20%); })code",
    R"code(Traceback (most recent call last):
  File "report.py", line 88, in <module>
    main()
  File "report.py", line 41, in main
    total += row["amount"]
KeyError: 'amount')code",
    R"code(quicksort [] = []
quicksort (p:xs) = quicksort [x | x <- xs, x < p] ++ [p] ++ quicksort [x | x <- xs, x >= p])code",
    R"code(import numpy as np

def softmax(x, axis=-1):
    shifted = x - x.max(axis=axis, keepdims=True)
    e = np.exp(shifted)
    return e / e.sum(axis=axis, keepdims=True))code",
    R"code(diff --git a/src/cache.c b/src/cache.c
@@ -102,7 +102,7 @@ static int evict(struct cache *c)
-    while (c->used > c->limit) {
+    while (c->used > c->limit && c->tail != NULL) {
         drop(c, c->tail);
     })code",
    R"code(2024-03-17T04:12:09.338Z ERROR [worker-7] connection to 10.0.3.21:5432 refused, retrying in 800 ms (attempt 4 of 10))code",
    R"code(template <class T, class Compare = std::less<T>>
class MinHeap {
 public:
  void push(T value) { items_.push_back(std::move(value)); std::push_heap(items_.begin(), items_.end(), reversed_); }
  const T& top() const { return items_.front(); }
  bool empty() const noexcept { return items_.empty(); }

 private:
  struct Reversed { bool operator()(const T& a, const T& b) const { return Compare{}(b, a); } };
  Reversed reversed_;
  std::vector<T> items_;
};

// The heap keeps its smallest element in front: push_heap and pop_heap build a max-heap, so the
// comparison is turned around. Elements are moved, never copied; a comparison that throws leaves
// the heap in a valid but unspecified state, as the standard library itself does.)code",
    R"code(\begin{equation} \hat\beta = (X^\top X + \lambda I)^{-1} X^\top y \end{equation})code",
    R"code(git rebase --onto main feature~3 feature && git push --force-with-lease)code",
    R"code(mov rax, [rdi+8*rcx]
add rax, rdx
cmp rax, 0xff
jle .loop)code",
    R"code(^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*)@(?:[a-z0-9-]+\.)+[a-z]{2,}$)code",
};

}  // namespace

Texts code() { return kTexts; }

}  // namespace octavo::calibration
