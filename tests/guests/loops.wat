;; Loops forever.
(func (export "hookmill:plugin/mapper@0.1.0#to-incidents") (type $to-incidents)
  (loop $again (br $again))
  (i32.const 1024))
