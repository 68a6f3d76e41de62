// The n-th of unsorted numbers.

enum Selecting {
    /// Hoare's selection (Algorithm 65, 1961) with a median of three; the n-th ends up in its place.
    static func nth<Number: Comparable>(
        _ values: UnsafeMutableBufferPointer<Number>, _ n: Int, _ first: Int, _ last: Int
    ) -> Number {
        var left = first
        var right = last
        var rounds = 0
        while left < right {
            rounds += 1
            if rounds > 200 {
                // Input that defeats the pivots.
                var rest = UnsafeMutableBufferPointer(rebasing: values[left...right])
                rest.sort()
                return values[n]
            }
            let pivot = median(values[left], values[(left + right) / 2], values[right])
            var i = left
            var j = right
            while i <= j {
                while values[i] < pivot { i &+= 1 }
                while values[j] > pivot { j &-= 1 }
                if i <= j {
                    values.swapAt(i, j)
                    i &+= 1
                    j &-= 1
                }
            }
            if n <= j {
                right = j
            } else if n >= i {
                left = i
            } else {
                return values[n]
            }
        }
        return values[n]
    }

    private static func median<Number: Comparable>(_ a: Number, _ b: Number, _ c: Number) -> Number {
        max(min(a, b), min(max(a, b), c))
    }
}
