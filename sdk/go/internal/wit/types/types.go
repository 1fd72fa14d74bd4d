// Package wit_types has the types that the generated bindings use for options and results.
package wit_types

// Option is a value that may be absent.
type Option[T any] struct {
	isSome bool
	value  T
}

// The tags of an option.
const (
	OptionNone = 0
	OptionSome = 1
)

// Some returns an option with a value.
func Some[T any](value T) Option[T] { return Option[T]{true, value} }

// None returns an option without a value.
func None[T any]() Option[T] { return Option[T]{} }

// Tag returns which of the two the option is.
func (o Option[T]) Tag() uint8 {
	if o.isSome {
		return OptionSome
	}
	return OptionNone
}

// Some returns the value.
func (o Option[T]) Some() T { return o.value }

// SomeOr returns the value, or another one if it is absent.
func (o Option[T]) SomeOr(other T) T {
	if o.isSome {
		return o.value
	}
	return other
}

// Result is a value or an error.
type Result[T any, E any] struct {
	isErr bool
	value T
	err   E
}

// The tags of a result.
const (
	ResultOk  = 0
	ResultErr = 1
)

// Ok returns a result with a value.
func Ok[T any, E any](value T) Result[T, E] { return Result[T, E]{value: value} }

// Err returns a result with an error.
func Err[T any, E any](err E) Result[T, E] { return Result[T, E]{isErr: true, err: err} }

// Tag returns which of the two the result is.
func (r Result[T, E]) Tag() uint8 {
	if r.isErr {
		return ResultErr
	}
	return ResultOk
}

// Ok returns the value.
func (r Result[T, E]) Ok() T { return r.value }

// Err returns the error.
func (r Result[T, E]) Err() E { return r.err }
