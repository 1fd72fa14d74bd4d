;; Executes `unreachable`.
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (unreachable))
