;; Has no `to-incidents`.
(type $unused (func))
