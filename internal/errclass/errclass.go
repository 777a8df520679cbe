// Package errclass makes sentinel errors that print their own text and belong to a class of another error,
// so that errors.Is(err, fs.ErrNotExist) holds for every "not found" of every package.
package errclass

// New returns an error that prints text and unwraps to class.
func New(text string, class error) error { return &classed{text: text, class: class} }

type classed struct {
	text  string
	class error
}

func (c *classed) Error() string { return c.text }
func (c *classed) Unwrap() error { return c.class }
