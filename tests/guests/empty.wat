;; Exports nothing.
(module)
